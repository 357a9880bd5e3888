// SPDX-License-Identifier: Apache-2.0
// The stages of a journey, in their order. Each can be repeated: an agent that was killed begins
// again with the first one unless the script has been started.
#pragma once

#include "agent/context.hpp"

namespace trainyard::agent {

// prepare.cpp: isolation, folders, /opt/ml/input/config.
Result<> prepare(Context& context);
// Without walls /opt/ml was lent to this job: removes the link if it is still ours.
void give_back_ml(const Context& context);

// environment.cpp: the image's environment, built if need be, and the job's layer over it.
Result<> find_recipe(Context& context);
// Without a word in the log: for an agent that takes over.
Result<> look_up_recipe(Context& context);
Result<> make_environment(Context& context);

// channels.cpp: the input channels, each by its mode.
Result<> provide_channels(Context& context);

// download.cpp: channels and the source archive.
Result<> download(Context& context);

// download.cpp: what CheckpointConfig names, before the script starts, or what is there already
// when an agent takes over.
Result<> restore_checkpoints(Context& context);
Result<> take_over_checkpoints(Context& context);

// job_network.cpp: waits for the job's own network, where the engine makes one.
Result<> join_network(Context& context);
// The network that the script runs in has gone; nullopt: it has not, or there is none of its own.
std::optional<Error> network_error(const Context& context);

// setup.cpp: requirements.txt and packages.
Result<> install_requirements(Context& context);

// run.cpp: the script, to its end. Returns its exit code; attaches to one that runs already.
Result<int> run_script(Context& context);

// upload.cpp: model.tar.gz and output.tar.gz.
Result<> upload(Context& context);

}  // namespace trainyard::agent
