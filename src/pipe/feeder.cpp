// SPDX-License-Identifier: Apache-2.0
#include "pipe/feeder.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/random.hpp"
#include "pipe/pipe.hpp"
#include "pipe/stream.hpp"

namespace trainyard::pipe {

namespace {

// Of all channels together; what is prefetched and not read yet.
constexpr size_t kMemoryBytes = 64 << 20;
constexpr size_t kLeastPerChannel = 2 << 20;

size_t budget_of(const PipePlan& plan) {
  return std::max(kLeastPerChannel, kMemoryBytes / std::max<size_t>(1, plan.channels.size()));
}

// The first error stays.
void report(const fs::path& state, const std::string& message) {
  log::error("pipe failed", {{"error", message}});
  fs::path draft = state / ("error-" + random_hex(8));
  auto written = write_file_atomically(draft, message, 0600);
  if (!written) log::error("telling of it failed", {{"error", written.error().message}});
  static_cast<void>(::link(draft.c_str(), error_file(state).c_str()));  // exists: not the first
  ::unlink(draft.c_str());
}

// A write into a FIFO without a reader is an error here, no signal.
void block_sigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

class Feeder::Channel {
 public:
  static Result<std::unique_ptr<Channel>> start(const PipePlan& plan, const PipeChannel& channel,
                                                OpenWatch& watch, const StopFd& stop_fd,
                                                const std::stop_token& stop) {
    auto first = TRY(WaitingFifo::make(plan.folder / (channel.name + "_0"), plan.user_id, watch));
    return std::make_unique<Channel>(plan, channel, watch, stop_fd, stop, std::move(first));
  }

  Channel(const PipePlan& plan, const PipeChannel& channel, OpenWatch& watch, const StopFd& stop_fd,
          const std::stop_token& stop, WaitingFifo first)
      : plan_(plan),
        name_(channel.name),
        watch_(watch),
        stop_fd_(stop_fd),
        stop_(stop),
        next_(std::move(first)),
        stream_(plan, channel, budget_of(plan)),
        thread_([this] { run(); }) {}

  ~Channel() {
    thread_.join();  // the stop was requested
    ::unlink(next_.path().c_str());
    if (again_) ::unlink(again_->path().c_str());
  }

 private:
  fs::path path_of(uint64_t epoch) const {
    return plan_.folder / fmt::format("{}_{}", name_, epoch);
  }

  void run() {
    block_sigpipe();
    for (;;) {
      int again = again_ ? again_->watch_number() : next_.watch_number();
      auto opened = watch_.wait(stop_, next_.watch_number(), again);
      if (!opened) return;
      bool is_next = *opened == next_.watch_number();
      auto fed = feed(is_next);
      if (fed) continue;
      if (stop_.stop_requested()) return;
      // The writer still holds its end: nobody must take this for the end of data.
      report(plan_.state,
             fmt::format("channel '{}', epoch {}: {}", name_, epoch_ - 1, fed.error().message));
      static_cast<void>(watch_.wait(stop_, -1, -1));
      return;
    }
  }

  // Gives an epoch to the reader that has come: the next one, or the last one again.
  Result<> feed(bool is_next) {
    if (is_next) epoch_ += 1;
    uint64_t epoch = epoch_ - 1;
    WaitingFifo taken = std::move(is_next ? next_ : *again_);
    writer_.emplace(TRY(taken.open_writer()), stop_fd_);
    // Names first, so that whoever sees the end of data finds the next FIFOs. The one that was
    // opened loses its name: a late comer would get the rest of the bytes.
    if (is_next) {
      next_ = TRY(WaitingFifo::make(path_of(epoch + 1), plan_.user_id, watch_));
      if (again_) ::unlink(again_->path().c_str());
    }
    again_.emplace(TRY(WaitingFifo::make(path_of(epoch), plan_.user_id, watch_)));
    stream_.begin(epoch);
    auto written = write_epoch();
    if (!written && !writer_->is_abandoned()) return written;
    writer_.reset();
    return {};
  }

  Result<> write_epoch() {
    for (;;) {
      auto segment = TRY(stream_.next(stop_));
      if (!segment) return {};
      if (auto* bytes = std::get_if<std::string>(&*segment)) {
        TRY(writer_->write(*bytes));
        stream_.give_back(std::move(*bytes));
        continue;
      }
      if (auto* pages = std::get_if<transfer::PagePipe>(&*segment)) {
        TRY(writer_->pass(*pages));
        stream_.give_back(std::move(*pages));
        continue;
      }
      const auto& range = std::get<FileRange>(*segment);
      auto spliced = writer_->splice(range.file->get(), range.offset, range.length);
      if (!spliced) return Failure(std::move(spliced).error().within(range.name));
    }
  }

  const PipePlan& plan_;
  const std::string name_;
  OpenWatch& watch_;
  const StopFd& stop_fd_;
  const std::stop_token stop_;
  uint64_t epoch_ = 0;  // of next_
  WaitingFifo next_;
  std::optional<WaitingFifo> again_;
  std::optional<FifoWriter> writer_;
  Stream stream_;
  std::thread thread_;
};

Feeder::Feeder(PipePlan plan) : plan_(std::move(plan)) {}

Feeder::~Feeder() {
  stop_.request_stop();
}

Result<> Feeder::start_channels() {
  folder_ = TRY(open_file(plan_.folder, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  plan_.folder = fmt::format("/proc/self/fd/{}", folder_.get());
  stop_fd_ = TRY(StopFd::make(stop_.get_token()));
  watch_ = TRY(OpenWatch::start(*stop_fd_));
  for (const PipeChannel& channel : plan_.channels) {
    channels_.push_back(TRY(Channel::start(plan_, channel, *watch_, *stop_fd_, stop_.get_token())));
  }
  return {};
}

Result<std::unique_ptr<Feeder>> Feeder::start(PipePlan plan) {
  TRY(check(plan));
  auto feeder = std::unique_ptr<Feeder>(new Feeder(std::move(plan)));
  TRY(feeder->start_channels());
  return feeder;
}

}  // namespace trainyard::pipe
