# SPDX-License-Identifier: Apache-2.0
"""Training scripts of test_distributed.py, each written as for the images of AWS."""

# Both hosts train on one variable that the parameter servers hold, as Estimators did.
BETWEEN_GRAPH = """
    import json, os, time
    import tensorflow as tf
    v1 = tf.compat.v1
    v1.disable_eager_execution()
    config = json.loads(os.environ["TF_CONFIG"])
    kind, index = config["task"]["type"], config["task"]["index"]
    cluster = tf.train.ClusterSpec(config["cluster"])
    server = tf.distribute.Server(cluster, job_name=kind, task_index=index)
    with v1.device(v1.train.replica_device_setter(cluster=cluster, worker_device=f"/job:{kind}/task:{index}")):
        total = v1.get_variable("total", [], initializer=tf.zeros_initializer())
        other = v1.get_variable("other", [], initializer=tf.zeros_initializer())
        step = [v1.assign_add(total, 1.0, use_locking=True), v1.assign_add(other, 2.0, use_locking=True)]
        missing = v1.report_uninitialized_variables()
        init = v1.global_variables_initializer()
    with v1.Session(server.target) as session:
        if kind == "master":
            session.run(init)
        while len(session.run(missing)):
            time.sleep(0.05)
        for _ in range(10):
            session.run(step)
        while session.run(other) < 2 * 10 * len(config["cluster"]["ps"]):
            time.sleep(0.05)
        print(kind, "on", total.device, other.device, "has", session.run([total, other]), flush=True)
        if kind == "master":
            time.sleep(1)  # the others read it, too
            open(os.environ["SM_MODEL_DIR"] + "/total", "w").write(str(session.run(total)))
"""

# TensorFlow 2's strategy: the chief coordinates, workers compute, the servers that are there hold the variables.
STRATEGY = """
    import json, os, socket, time
    import tensorflow as tf
    config = json.loads(os.environ["TF_CONFIG"])
    cluster, kind, index = config["cluster"], config["task"]["type"], config["task"]["index"]
    cluster["chief"] = cluster.pop("master")  # the strategy's word for it
    if kind == "worker":
        tf.distribute.Server(tf.train.ClusterSpec(cluster), job_name="worker", task_index=index, protocol="grpc")
        host, port = cluster["chief"][0].split(":")

        def is_there():
            try:
                socket.create_connection((host, int(port)), 1).close()
                return True
            except OSError:
                return False
        while not is_there():
            time.sleep(0.1)
        while is_there():
            time.sleep(0.1)
        print("worker has ended", flush=True)
    else:
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(cluster), task_type="chief", task_id=0, rpc_layer="grpc")
        strategy = tf.distribute.ParameterServerStrategy(
            resolver, variable_partitioner=tf.distribute.experimental.partitioners.MinSizePartitioner(1, 2))
        coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        with strategy.scope():
            weights = tf.Variable(tf.zeros([2, 1]))

        @tf.function
        def step():
            features = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
            labels = tf.constant([[1.0], [1.0], [2.0]])
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((features @ tf.concat(weights.variables, 0) - labels) ** 2)
            for variable, gradient in zip(weights.variables, tape.gradient(loss, weights.variables)):
                variable.assign_sub(0.01 * gradient)
            return loss
        losses = [coordinator.schedule(step) for _ in range(60)]
        coordinator.join()
        print("variables on", sorted({variable.device for variable in weights.variables}), flush=True)
        print("losses", losses[0].fetch(), losses[-1].fetch(), flush=True)
        assert losses[-1].fetch() < 0.1 * losses[0].fetch()
        open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write("trained")
"""

# The same batches of 64 on any number of instances, each working on its part: the losses are the same.
MIRRORED = """
    import json, os
    import numpy as np
    import tensorflow as tf
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    count = strategy.num_replicas_in_sync
    random = np.random.RandomState(0)
    features = random.rand(512, 4).astype("float32")
    labels = (features @ [[1.0], [2.0], [-1.0], [0.5]]).astype("float32")

    def batches(context):
        data = tf.data.Dataset.from_tensor_slices((features, labels)).shard(
            context.num_input_pipelines, context.input_pipeline_id)
        return data.batch(context.get_per_replica_batch_size(64))
    with strategy.scope():
        weights = tf.Variable(tf.zeros([4, 1]))

    @tf.function
    def step(inputs):
        def on_replica(x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((x @ weights - y) ** 2) / 64
            gradient = tf.distribute.get_replica_context().all_reduce("sum", tape.gradient(loss, weights))
            weights.assign_sub(0.1 * gradient)
            return loss
        return strategy.reduce("sum", strategy.run(on_replica, args=inputs), axis=None)
    for epoch in range(5):
        for batch in strategy.distribute_datasets_from_function(batches):
            loss = step(batch)
        print(f"epoch {epoch}: loss {float(loss):.5f}", flush=True)
    print(os.environ["SM_CURRENT_HOST"], "is", task["type"], task["index"], "of", count, flush=True)
    if task["index"] == 0:
        np.save(os.environ["SM_MODEL_DIR"] + "/weights.npy", weights.numpy())
"""

ALLREDUCE = """
    import os, socket
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
    total = comm.allreduce(comm.rank + 1)
    print("rank", comm.rank, "of", comm.size, "on", socket.gethostname(), "total", total, "rate", os.environ["SM_HP_RATE"])
    if comm.rank == 0:
        open(os.environ["SM_MODEL_DIR"] + "/total", "w").write(str(total))
"""

ONE_RANK_FAILS = """
    import time
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
    print("runs", flush=True)
    comm.Barrier()
    if comm.rank == comm.size - 1:
        raise ValueError("rank %d has no luck" % comm.rank)
    comm.Barrier()
    time.sleep(600)
"""

RANKS_THAT_WAIT = """
    import os, signal, sys, time
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
    def note(*unused):
        with open(os.environ["SM_MODEL_DIR"] + "/rank-%d" % comm.rank, "a") as file:
            file.write("x")
        time.sleep(2)  # longer than mpirun gives a process that it ends
        with open(os.environ["SM_MODEL_DIR"] + "/rank-%d" % comm.rank, "a") as file:
            file.write("!")
        sys.exit(0)
    signal.signal(signal.SIGTERM, note)
    comm.Barrier()
    print("runs", flush=True)
    while True:
        time.sleep(0.05)
"""

DDP = """
    import os
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(rank)
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    features = torch.linspace(0, 1, 256 * 4).reshape(256, 4)[rank::size]
    labels = features.sum(dim=1, keepdim=True)
    for epoch in range(20):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(features), labels)
        loss.backward()
        optimizer.step()
    weights = ["%.5f" % value for value in model.module.weight.flatten().tolist()]
    print("rank", rank, "of", size, "on", os.environ["SM_CURRENT_HOST"], "weights", *weights, flush=True)
    dist.barrier()
    if rank == 0:
        torch.save(model.module.state_dict(), os.environ["SM_MODEL_DIR"] + "/model.pt")
"""
