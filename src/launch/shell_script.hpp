// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "launch/roles.hpp"

namespace trainyard::launch {

// Small programs of an instance that mpirun and its daemons call by names which are the same on all
// instances: mpirun splits its options at blanks, its daemons look for what stands for ssh, too,
// and the Python of each instance lies elsewhere. Removed with the object.
class ShellScripts {
 public:
  static Result<ShellScripts> write(const Arrangement& arrangement, const Callback& callback);
  ShellScripts(ShellScripts&& other) noexcept = default;
  ShellScripts& operator=(ShellScripts&&) = delete;
  ~ShellScripts();

  // In the place of ssh.
  const std::string& shell() const { return shell_; }
  // Runs a rank with the PATH and the Python of its own instance.
  const std::string& rank() const { return rank_; }

 private:
  ShellScripts() = default;

  std::string shell_;
  std::string rank_;
};

// What stands for the instance's own Python in the command of a rank.
constexpr const char* kOwnPython = "@python";

}  // namespace trainyard::launch
