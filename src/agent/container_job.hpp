// SPDX-License-Identifier: Apache-2.0
// What a job's container is: its names, labels, mounts, variables. Pure, but for the folders that
// are opened to the image's user.
#pragma once

#include <string>

#include "agent/context.hpp"
#include "docker/client.hpp"

namespace trainyard::agent {

// Of the container of this instance, the same for all its agents.
std::string container_name(const protocol::Assignment& assignment);
Result<docker::Host> docker_host(const protocol::Assignment& assignment);

// "img-entry train": what runs, for the log.
std::vector<std::string> container_command(const protocol::Assignment& assignment,
                                           const docker::Image& image);

// `endpoint`: the service as containers reach it. `user`: "" for the image's own.
docker::ContainerSpec container_spec(const Context& context, const std::string& endpoint,
                                     const std::string& user);

// What an image's program has to be able to write into is open to any user: the folders above are
// ours alone.
Result<> open_folders(const Context& context);

}  // namespace trainyard::agent
