// SPDX-License-Identifier: Apache-2.0
#include "transfer/page_pipe.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace trainyard::transfer {

namespace {

constexpr int kPipeBytes = 1 << 20;        // the usual /proc/sys/fs/pipe-max-size
constexpr size_t kShownBytes = 256 << 10;  // at once: a look at them finds them in the cache

}  // namespace

std::optional<PagePipe> PagePipe::make() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  PagePipe made{Fd(ends[0]), Fd(ends[1])};
  if (::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes) < kPipeBytes) return std::nullopt;
  return made;
}

Result<Moved> PagePipe::fill(const Link& link, size_t wanted) {
  ssize_t count = ::splice(link.fd(), nullptr, write_end_.get(), nullptr, wanted,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count > 0) {
    size_ += static_cast<size_t>(count);
    return Moved{static_cast<size_t>(count), false, 0};
  }
  if (count == 0) return Moved{0, true, 0};
  if (errno == EAGAIN || errno == EINTR) return Moved{0, false, EPOLLIN};
  return Failure(Error{Code::unavailable, fail_errno(errno, "receiving").value().message});
}

Result<> PagePipe::show(PagePipe& mirror, const std::function<void(std::string_view)>& look) const {
  thread_local std::vector<char> buffer(kShownBytes);
  if (size_ == 0) return {};
  ssize_t count = ::tee(read_end_.get(), mirror.write_end_.get(), size_, SPLICE_F_NONBLOCK);
  if (count < 0) return fail_errno(errno, "looking at what came");
  auto shown = static_cast<size_t>(count);
  if (shown != size_) return fail(Code::internal, "{} bytes came, {} are seen", size_, shown);
  while (shown > 0) {
    ssize_t part = ::read(mirror.read_end_.get(), buffer.data(), std::min(shown, buffer.size()));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return fail_errno(errno, "looking at what came");
    look({buffer.data(), static_cast<size_t>(part)});
    shown -= static_cast<size_t>(part);
  }
  return {};
}

ssize_t PagePipe::pass(int pipe) {
  ssize_t count =
      ::splice(read_end_.get(), nullptr, pipe, nullptr, size_, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count > 0) size_ -= static_cast<size_t>(count);
  return count;
}

}  // namespace trainyard::transfer
