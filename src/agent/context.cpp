// SPDX-License-Identifier: Apache-2.0
#include "agent/context.hpp"

#include <fcntl.h>

namespace trainyard::agent {

void Context::say(std::string_view line) const {
  auto file = open_file(log_file(), O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (file) static_cast<void>(write_all(file->get(), std::string(line) + "\n"));
}

transfer::S3Access Context::s3_access() const {
  const protocol::ServerAccess& server = assignment.server;
  return {server.endpoint, server.region,
          {server.access_key, server.secret_key, server.session_token}};
}

environments::Builder Context::builder() const {
  return {assignment.host_settings.environments_dir, assignment.host_settings.uv};
}

}  // namespace trainyard::agent
