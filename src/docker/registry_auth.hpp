// SPDX-License-Identifier: Apache-2.0
// What `docker login` left behind: ~/.docker/config.json, with passwords in it or the name of a
// program that keeps them.
// https://docs.docker.com/reference/cli/docker/login/#credential-stores
#pragma once

#include <string>

#include "base/file.hpp"
#include "base/json.hpp"

namespace trainyard::docker {

// $DOCKER_CONFIG/config.json, or the one in this user's home; "" where there is neither variable.
fs::path registry_config_file();

// The header X-Registry-Auth for a registry; "" where nothing is known: then the daemon asks as
// anybody. A broken file is `invalid`; a credential program that fails is an error with its words.
Result<std::string> registry_auth(const fs::path& config_file, const std::string& registry);

// The part without programs; pure.
std::string auth_in(const json::object& config, const std::string& registry);

}  // namespace trainyard::docker
