// SPDX-License-Identifier: Apache-2.0
#include "pipe/fifo.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/random.hpp"

namespace trainyard::pipe {

namespace {

constexpr int kPipeBytes = 1 << 20;  // the usual /proc/sys/fs/pipe-max-size
constexpr size_t kSpliceStep = 1 << 20;
constexpr auto kForever = std::chrono::steady_clock::time_point::max();

// The file behind a descriptor, for calls that take a path.
std::string path_of(const Fd& fd) {
  return fmt::format("/proc/self/fd/{}", fd.get());
}

}  // namespace

void StopFd::Wake::operator()() const {
  uint64_t one = 1;
  static_cast<void>(::write(fd, &one, sizeof one) == sizeof one);
}

StopFd::StopFd(Fd fd, std::stop_token stop)
    : fd_(std::move(fd)), stop_(std::move(stop)), callback_(stop_, Wake{fd_.get()}) {}

Result<std::unique_ptr<StopFd>> StopFd::make(std::stop_token stop) {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return fail_errno(errno, "making an eventfd");
  return std::unique_ptr<StopFd>(new StopFd(std::move(fd), std::move(stop)));
}

Result<std::unique_ptr<OpenWatch>> OpenWatch::start(const StopFd& stop) {
  Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd && errno == EMFILE) {
    return fail(Code::exhausted, "too many inotify instances; raise fs.inotify.max_user_instances");
  }
  if (!fd) return fail_errno(errno, "starting inotify");
  return std::unique_ptr<OpenWatch>(new OpenWatch(std::move(fd), stop));
}

OpenWatch::OpenWatch(Fd inotify, const StopFd& stop)
    : inotify_(std::move(inotify)), stop_(stop), thread_([this] { run(); }) {}

Result<int> OpenWatch::add(const fs::path& file) {
  Result<int> added = 0;
  // Under the lock, so that an event finds its watch known.
  state_.with([&](State& state) {
    int number = ::inotify_add_watch(inotify_.get(), file.c_str(), IN_OPEN);
    if (number < 0) {
      added = fail_errno(errno, "watching a FIFO");
      return;
    }
    state.watched.insert(number);
    added = number;
  });
  return added;
}

void OpenWatch::remove(int number) {
  ::inotify_rm_watch(inotify_.get(), number);
  state_.with([&](State& state) {
    state.watched.erase(number);
    state.opened.erase(number);
  });
}

std::optional<int> OpenWatch::wait(const std::stop_token& stop, int one, int other) {
  std::optional<int> found;
  auto is_opened = [&](const State& state) {
    return state.opened.contains(one) || state.opened.contains(other);
  };
  state_.wait(stop, kForever, is_opened, [&](const State& state) {
    if (!stop.stop_requested()) found = state.opened.contains(one) ? one : other;
  });
  return found;
}

void OpenWatch::run() {
  alignas(inotify_event) std::array<char, 4096> buffer;
  while (!stop_.is_requested()) {
    pollfd ready[] = {{inotify_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(ready, 2, -1);
    ssize_t count = ::read(inotify_.get(), buffer.data(), buffer.size());
    state_.change([&](State& state) {
      for (ssize_t at = 0; at < count;) {
        inotify_event event;
        std::memcpy(&event, buffer.data() + at, sizeof event);
        at += static_cast<ssize_t>(sizeof event + event.len);
        // Where events were lost, any may have been opened; one that was not is abandoned at once.
        if (event.mask & IN_Q_OVERFLOW) state.opened = state.watched;
        if (event.mask & IN_OPEN && state.watched.contains(event.wd)) state.opened.insert(event.wd);
      }
    });
  }
}

Result<WaitingFifo> WaitingFifo::make(const fs::path& path, uint32_t user_id, OpenWatch& watch) {
  // Under a name that nobody waits for until it is all set up.
  fs::path draft = path.parent_path() / ("." + path.filename().string() + "." + random_hex(8));
  WaitingFifo fifo(path, watch);
  auto set_up = [&]() -> Result<> {
    // Only its owner can write into it by mistake, which harms nobody else.
    if (::mkfifo(draft.c_str(), 0600) != 0) return fail_errno(errno, "making it");
    fifo.handle_ = TRY(open_file(draft, O_PATH | O_NOFOLLOW));
    struct stat info {};
    if (::fstat(fifo.handle_.get(), &info) != 0) return fail_errno(errno, "looking at it");
    if (!S_ISFIFO(info.st_mode)) return fail(Code::conflict, "something else is in its place");
    std::string self = path_of(fifo.handle_);
    fifo.anchor_ = TRY(open_file(self, O_RDWR | O_NONBLOCK));
    if (::fchmod(fifo.anchor_.get(), 0644) != 0) return fail_errno(errno, "setting its mode");
    if (info.st_uid != user_id && ::fchown(fifo.anchor_.get(), user_id, UINT_MAX) != 0) {
      return fail_errno(errno, fmt::format("giving it to user {}", user_id));
    }
    fifo.number_ = TRY(watch.add(self));
    if (::rename(draft.c_str(), path.c_str()) != 0) return fail_errno(errno, "naming it");
    return {};
  };
  auto done = set_up();
  if (done) return fifo;
  ::unlink(draft.c_str());
  return Failure(std::move(done).error().within("FIFO " + path.filename().string()));
}

WaitingFifo::WaitingFifo(WaitingFifo&& other) noexcept
    : path_(std::move(other.path_)),
      watch_(other.watch_),
      handle_(std::move(other.handle_)),
      anchor_(std::move(other.anchor_)),
      number_(std::exchange(other.number_, -1)) {}

WaitingFifo& WaitingFifo::operator=(WaitingFifo&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(watch_, other.watch_);
  std::swap(handle_, other.handle_);
  std::swap(anchor_, other.anchor_);
  std::swap(number_, other.number_);
  return *this;
}

WaitingFifo::~WaitingFifo() {
  if (number_ >= 0) watch_->remove(number_);
}

Result<Fd> WaitingFifo::open_writer() {
  watch_->remove(std::exchange(number_, -1));
  // The anchor is a reader, too, so that this does not fail without one.
  Fd writer = TRY(open_file(path_of(handle_), O_WRONLY | O_NONBLOCK));
  for (int size = kPipeBytes; size > 65536; size /= 2) {
    // Users may have a limit (fs.pipe-user-pages-soft); a smaller pipe is only slower.
    if (::fcntl(writer.get(), F_SETPIPE_SZ, size) >= size) break;
  }
  anchor_.reset();
  return writer;
}

Result<> FifoWriter::wait_for_room(std::string_view doing, int error) {
  if (error == EPIPE) {
    is_abandoned_ = true;
    return fail(Code::cancelled, "the reader has gone");
  }
  if (error != EAGAIN && error != EINTR) return fail_errno(error, doing);
  pollfd ready[] = {{fd_.get(), POLLOUT, 0}, {stop_.get(), POLLIN, 0}};
  if (error == EAGAIN) ::poll(ready, 2, -1);
  return {};
}

Result<> FifoWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (stop_.is_requested()) return fail(Code::cancelled, "stopped");
    ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else {
      TRY(wait_for_room("writing into the FIFO", errno));
    }
  }
  return {};
}

Result<> FifoWriter::pass(transfer::PagePipe& pages) {
  while (pages.size() > 0) {
    if (stop_.is_requested()) return fail(Code::cancelled, "stopped");
    if (pages.pass(fd_.get()) <= 0) TRY(wait_for_room("passing pages into the FIFO", errno));
  }
  return {};
}

Result<> FifoWriter::splice(int file, uint64_t offset, uint64_t length) {
  auto at = static_cast<off64_t>(offset);
  uint64_t end = offset + length;
  while (static_cast<uint64_t>(at) < end) {
    if (stop_.is_requested()) return fail(Code::cancelled, "stopped");
    size_t step = std::min<uint64_t>(kSpliceStep, end - static_cast<uint64_t>(at));
    ssize_t count = ::splice(file, &at, fd_.get(), nullptr, step, SPLICE_F_NONBLOCK);
    if (count > 0) continue;
    if (count == 0) return fail(Code::conflict, "the file ends at byte {}", at);
    TRY(wait_for_room(fmt::format("splicing byte {}", at), errno));
  }
  return {};
}

}  // namespace trainyard::pipe
