// SPDX-License-Identifier: Apache-2.0
// Descriptors, each with a word, from one process to another (unix(7), SCM_RIGHTS).
#pragma once

#include <string>
#include <utility>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard::network {

struct Passed {
  std::string text;
  Fd fd;  // may be empty
};

// Two ends; messages keep their borders.
Result<std::pair<Fd, Fd>> make_passage();

// `fd` -1: the text alone, which is not empty and at most 4 KiB.
Result<> pass(int to, const std::string& text, int fd);

// Waits for one; `unavailable`: the other end has closed.
Result<Passed> receive_passed(int from);

}  // namespace trainyard::network
