// SPDX-License-Identifier: Apache-2.0
// Brings a container's output into the job's log, each byte once, however often agents die: a
// cursor beside the log says how many frames are in it.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "docker/client.hpp"

namespace trainyard::agent {

class ContainerOutput {
 public:
  // `cursor` is made where it does not exist.
  static Result<ContainerOutput> open(const fs::path& log, const fs::path& cursor);

  // Appends what is not there yet, with `is_following` until the container ends.
  Result<> copy(docker::Client& docker, const std::string& container, bool is_following,
                const std::stop_token& stop);

  // The next frame of the container's output, counted from its first one; public for the tests.
  Result<> take(uint64_t number, std::string_view bytes);

 private:
  ContainerOutput(Fd log, Fd cursor) : log_(std::move(log)), cursor_(std::move(cursor)) {}
  Result<> load();
  // What of a frame is in the log already, when whoever wrote it may have died on the way.
  Result<size_t> written_of(std::string_view bytes) const;
  Result<> remember(uint64_t number);

  Fd log_;
  Fd cursor_;
  uint64_t frame_ = 0;        // the next one
  uint64_t log_size_ = 0;     // when it was begun
  bool may_be_there_ = true;  // it, or a part of it
};

}  // namespace trainyard::agent
