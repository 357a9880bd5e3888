// SPDX-License-Identifier: Apache-2.0
#include "agent/context.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace trainyard::agent {

void Context::say(std::string_view line) const {
  auto file = open_file(log_file(), O_RDWR | O_APPEND | O_CREAT, 0600);
  if (!file) return;
  // The script may have ended in the middle of a line.
  char last = '\n';
  off_t size = ::lseek(file->get(), 0, SEEK_END);
  if (size > 0)
    static_cast<void>(read_at(file->get(), {&last, 1}, static_cast<uint64_t>(size - 1)));
  std::string text = std::string(last == '\n' ? "" : "\n") + std::string(line) + "\n";
  static_cast<void>(write_all(file->get(), text));
}

transfer::S3Access Context::s3_access(const std::string& bucket) const {
  const protocol::ServerAccess& server = assignment.server;
  const RemoteS3* remote = find_remote(server.remotes, bucket);
  if (remote != nullptr) return transfer::access_of(*remote);
  transfer::S3Access own{
      server.endpoint, server.region, {server.access_key, server.secret_key, server.session_token}};
  own.is_own_store = true;
  return own;
}

environments::Builder Context::builder() const {
  return {assignment.host_settings.environments_dir, assignment.host_settings.uv};
}

uint32_t Context::job_user() const {
  bool is_walled = isolation == sandbox::Isolation::sandbox && !is_in_container();
  bool is_other = ::geteuid() == 0 && is_walled;
  return is_other ? sandbox::user_id_for(assignment.job_name) : 0;
}

}  // namespace trainyard::agent
