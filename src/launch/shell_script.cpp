// SPDX-License-Identifier: Apache-2.0
#include "launch/shell_script.hpp"

#include <unistd.h>

#include <cstdlib>

#include "base/text.hpp"
#include "launch/wire.hpp"

namespace trainyard::launch {

namespace {

std::string quoted(const std::string& text) {
  return "'" + replace_all(text, "'", "'\"'\"'") + "'";
}

}  // namespace

Result<ShellScripts> ShellScripts::write(const Arrangement& arrangement, const Callback& callback) {
  constexpr size_t kEnough = 16;
  std::string name = signature(arrangement.secret, "the shell's name").substr(0, kEnough);
  ShellScripts scripts;
  scripts.shell_ = "/tmp/trainyard-mpi-shell-" + name;
  scripts.rank_ = "/tmp/trainyard-mpi-rank-" + name;
  TRY(write_file_atomically(scripts.shell_,
                            fmt::format("#!/bin/sh\nexec {} mpi-shell {} \"$@\"\n",
                                        quoted(callback.program), quoted(callback.file)),
                            0700));
  const char* path = std::getenv("PATH");
  TRY(write_file_atomically(
      scripts.rank_,
      fmt::format("#!/bin/sh\nPATH={}\nexport PATH\n"
                  "[ \"$1\" != {} ] || {{ shift; set -- {} \"$@\"; }}\nexec \"$@\"\n",
                  quoted(path == nullptr ? "/usr/bin:/bin" : path), kOwnPython,
                  quoted(arrangement.python)),
      0700));
  return scripts;
}

ShellScripts::~ShellScripts() {
  for (const std::string* path : {&shell_, &rank_}) {
    if (!path->empty()) ::unlink(path->c_str());
  }
}

}  // namespace trainyard::launch
