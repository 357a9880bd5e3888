// SPDX-License-Identifier: Apache-2.0
#include "launch/shell_script.hpp"

#include <unistd.h>

#include "base/text.hpp"
#include "launch/wire.hpp"

namespace trainyard::launch {

namespace {

std::string quoted(const std::string& text) {
  return "'" + replace_all(text, "'", "'\"'\"'") + "'";
}

}  // namespace

Result<ShellScript> ShellScript::write(const Arrangement& arrangement, const Callback& callback) {
  constexpr size_t kEnough = 16;
  std::string name = signature(arrangement.secret, "the shell's name").substr(0, kEnough);
  fs::path path = "/tmp/trainyard-mpi-shell-" + name;
  TRY(write_file_atomically(path,
                            fmt::format("#!/bin/sh\nexec {} mpi-shell {} \"$@\"\n",
                                        quoted(callback.program), quoted(callback.file)),
                            0700));
  return ShellScript(std::move(path));
}

ShellScript::~ShellScript() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace trainyard::launch
