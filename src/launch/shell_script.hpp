// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "launch/roles.hpp"

namespace trainyard::launch {

// The program that mpirun runs in the place of ssh: a file of a plain name, because mpirun splits
// its option at blanks, and of the same name on all instances, because its daemons look for it,
// too. Removed with the object.
class ShellScript {
 public:
  static Result<ShellScript> write(const Arrangement& arrangement, const Callback& callback);
  ShellScript(ShellScript&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ShellScript& operator=(ShellScript&&) = delete;
  ~ShellScript();

  const fs::path& path() const { return path_; }

 private:
  explicit ShellScript(fs::path path) : path_(std::move(path)) {}

  fs::path path_;
};

}  // namespace trainyard::launch
