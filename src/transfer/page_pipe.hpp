// SPDX-License-Identifier: Apache-2.0
// Bytes that nobody copies: a pipe that takes the kernel's own pages from a plain connection and
// passes them on to another pipe. Safe for readers that keep pages themselves (splice, tee), as no
// page is ever used again for other bytes.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "transfer/link.hpp"

namespace trainyard::transfer {

class PagePipe {
 public:
  // An empty one, of 1 MiB. Nothing where the user may have no more of them: RLIMIT_NOFILE,
  // fs.pipe-user-pages-soft.
  static std::optional<PagePipe> make();

  size_t size() const { return size_; }

  // Takes at most `wanted` bytes that have come over a plain connection. Nothing moved: none has
  // come, or the pipe is full.
  Result<Moved> fill(const Link& link, size_t wanted);

  // Shows all its bytes, as copies that are worth nothing after the call, and keeps them. `mirror`
  // is another one, empty before and after.
  Result<> show(PagePipe& mirror, const std::function<void(std::string_view)>& look) const;

  // Moves bytes to the write end of another pipe, as many as it has room for, without waiting. As
  // write(2) does: -1 with an errno where nothing moved.
  ssize_t pass(int pipe);

 private:
  PagePipe(Fd read_end, Fd write_end)
      : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}

  Fd read_end_;
  Fd write_end_;
  size_t size_ = 0;
};

// Who takes an object's pages, in order.
struct PageTaker {
  std::function<std::optional<PagePipe>()> empty;  // to be filled; nothing: as pieces, then
  std::function<Result<>(PagePipe filled)> take;
};

}  // namespace trainyard::transfer
