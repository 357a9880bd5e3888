// SPDX-License-Identifier: Apache-2.0
// A container's output as the daemon streams it: frames of a stream's number, three zeros, a length
// of four bytes (big endian), and so many bytes.
// https://docs.docker.com/engine/api/v1.41/#tag/Container/operation/ContainerAttach
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace trainyard::docker {

class FrameParser {
 public:
  // Called once per whole frame: one line with its end, or a part of a long one.
  explicit FrameParser(std::function<Result<>(std::string_view payload)> on_frame)
      : on_frame_(std::move(on_frame)) {}

  // `invalid` for what is no frame; the error of `on_frame` ends it too.
  Result<> push(std::string_view bytes);

 private:
  std::function<Result<>(std::string_view)> on_frame_;
  std::string pending_;
};

}  // namespace trainyard::docker
