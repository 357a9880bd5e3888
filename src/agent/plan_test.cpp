// SPDX-License-Identifier: Apache-2.0
#include "agent/plan.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/subprocess.hpp"

namespace trainyard::agent {

namespace {

// A job of which nothing is on disk but its code folder.
class PlanTest : public ::testing::Test {
 protected:
  PlanTest() : folder_(fs::temp_directory_path() / fmt::format("plan-test-{}", ::getpid())) {
    fs::create_directories(folder_ / "ml/code");
    assignment_.job_name = "j";
    assignment_.server.endpoint = "http://127.0.0.1:4600";
    assignment_.server.region = "us-west-2";
    assignment_.hyperparameters = {{"sagemaker_program", "train.py"}};
  }
  ~PlanTest() override { fs::remove_all(folder_); }

  Result<Plan> plan() {
    auto journal = Journal::open(folder_ / "journal.json", clock_);
    Context context{assignment_, folder_, "trainyard", **journal, std::stop_token(), clock_};
    context.ml = folder_ / "ml";
    context.layer = "/layer";
    context.recipe.launcher = launcher_;
    return make_plan(context);
  }

  std::string variable(const std::string& name) {
    auto made = plan();
    std::string values;
    for (const auto& [other, value] : made->variables) {
      if (other == name) values += "<" + value + ">";
    }
    return values;
  }

  std::string command() {
    auto made = plan();
    return made ? fmt::format("{}", fmt::join(made->command, " ")) : made.error().message;
  }

  fs::path folder_;
  FakeClock clock_;
  protocol::Assignment assignment_;
  environments::Launcher launcher_;
};

}  // namespace

TEST_F(PlanTest, what_the_job_sets_wins_over_the_framework_and_not_over_the_toolkit) {
  launcher_.variables = {{"TF_CPP_MIN_LOG_LEVEL", "1"}};
  EXPECT_EQ(variable("TF_CPP_MIN_LOG_LEVEL"), "<1>");
  EXPECT_EQ(variable("S3_USE_HTTPS"), "<0>");
  EXPECT_EQ(variable("PYTHONPATH"), "</opt/ml/code>");
  assignment_.environment = {{"TF_CPP_MIN_LOG_LEVEL", "3"},
                             {"S3_USE_HTTPS", "1"},
                             {"PYTHONPATH", "/extra"},
                             {"SM_MODEL_DIR", "/elsewhere"}};
  EXPECT_EQ(variable("TF_CPP_MIN_LOG_LEVEL"), "<3>");
  EXPECT_EQ(variable("S3_USE_HTTPS"), "<1>");
  EXPECT_EQ(variable("PYTHONPATH"), "</opt/ml/code:/extra>");
  EXPECT_EQ(variable("SM_MODEL_DIR"), "</opt/ml/model>");
}

TEST_F(PlanTest, what_the_kernel_would_cut_is_refused) {
  for (const auto& [name, value] :
       protocol::StringPairs{{"x", "\"a\\u0000b\""}, {"a=b", "1"}, {"x", "\"\\ud83d\""}}) {
    assignment_.hyperparameters = {{"sagemaker_program", "train.py"}, {name, value}};
    EXPECT_NE(command().find("cannot be set: Hyperparameters cannot hold"), std::string::npos);
  }
  assignment_.hyperparameters[1] = {"x", "[\"a\\u0000b\", \"\\ud83d\"]"};
  EXPECT_EQ(command(), "/layer/bin/python train.py -x ['a\\x00b', '\\ud83d']");
}

TEST_F(PlanTest, torchrun_where_the_framework_has_it) {
  assignment_.hyperparameters.emplace_back("sagemaker_torch_distributed_enabled", "true");
  EXPECT_EQ(command(), "/layer/bin/python train.py");
  launcher_.features = {"torchrun"};
  EXPECT_EQ(command(),
            "/layer/bin/python -m torch.distributed.run --nnodes 1 --nproc_per_node 1 train.py");
  assignment_.hosts = {"algo-1", "algo-2"};
  assignment_.host = "algo-2";
  assignment_.hyperparameters.emplace_back("sagemaker_mpi_num_of_processes_per_host", "2");
  EXPECT_EQ(command(),
            "/layer/bin/python -m torch.distributed.run --nnodes 2 --nproc_per_node 2 "
            "--master_addr algo-1 --master_port 7777 --node_rank 1 train.py");
  assignment_.hyperparameters[0].second = "train.sh";
  EXPECT_TRUE(command().starts_with("AlgorithmError: Unsupported entry point type")) << command();
}

TEST_F(PlanTest, mpirun_on_the_leader_and_its_daemons_elsewhere) {
  if (!find_program("mpirun")) GTEST_SKIP() << "no mpirun: apt-get install openmpi-bin";
  assignment_.hyperparameters = {{"sagemaker_program", "train.py"},
                                 {"sagemaker_mpi_enabled", "true"},
                                 {"sagemaker_mpi_num_of_processes_per_host", "2"},
                                 {"sagemaker_mpi_custom_mpi_options", "\"-v --NCCL_DEBUG WARN\""},
                                 {"rate", "0.5"}};
  assignment_.hosts = {"algo-1", "algo-2"};
  auto leader = plan();
  ASSERT_TRUE(leader) << leader.error().message;
  std::string text = command();
  EXPECT_TRUE(text.starts_with("mpirun --host algo-1:2,algo-2:2 -np 4 --allow-run-as-root"))
      << text;
  EXPECT_NE(text.find(" -x NCCL_DEBUG=WARN "), std::string::npos) << text;
  EXPECT_NE(text.find(" -v -x "), std::string::npos) << text;
  EXPECT_NE(text.find(" -x SM_HP_RATE -x PYTHONPATH "), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with(" /layer/bin/python -m mpi4py train.py --rate 0.5")) << text;
  EXPECT_EQ(leader->arrangement->kind, launch::Kind::mpi_leader);
  EXPECT_EQ(fmt::format("{}", fmt::join(leader->arrangement->ranks, " ")),
            "/layer/bin/python -m mpi4py train.py --rate 0.5");
  EXPECT_EQ(text.find(leader->arrangement->secret), std::string::npos);

  assignment_.host = "algo-2";
  auto worker = plan();
  EXPECT_EQ(worker->arrangement->kind, launch::Kind::mpi_worker);
  EXPECT_EQ(worker->arrangement->secret, leader->arrangement->secret);
  EXPECT_EQ(command(), "wait for mpirun");
  assignment_.attempt = 2;
  EXPECT_NE(plan()->arrangement->secret, worker->arrangement->secret);
}

TEST_F(PlanTest, a_parameter_server_beside_the_script_of_each_host) {
  assignment_.hyperparameters.emplace_back("sagemaker_parameter_server_enabled", "true");
  launcher_.features = {"tf_config"};
  EXPECT_FALSE(plan()->arrangement) << "there is one host";
  assignment_.hosts = {"algo-1", "algo-2"};
  assignment_.host = "algo-2";
  auto made = plan();
  ASSERT_TRUE(made->arrangement);
  EXPECT_EQ(made->arrangement->kind, launch::Kind::parameter_server);
  EXPECT_EQ(made->arrangement->command, made->command);
  EXPECT_EQ(made->arrangement->server.back(), "1");
  EXPECT_EQ(command(), "/layer/bin/python train.py");
  launcher_.features = {};
  EXPECT_FALSE(plan()->arrangement) << "the framework has none";
}

TEST_F(PlanTest, a_containers_own_entry_point_has_no_script_mode) {
  assignment_.entrypoint = {"/bin/bash"};
  assignment_.arguments = {"-c", "true"};
  EXPECT_EQ(command(), "/bin/bash -c true");
  EXPECT_EQ(variable("SM_MODEL_DIR"), "");
}

}  // namespace trainyard::agent
