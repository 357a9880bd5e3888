// SPDX-License-Identifier: Apache-2.0
// FIFOs that wait for a reader without a thread that is stuck in open(2).
//
// A reader that opens a FIFO which has no writer sleeps in open(2), and nothing tells of it
// (inotify speaks after the call). So each FIFO that waits is held open for both: a reader's open
// returns at once, inotify reports it, its read sleeps. Then we open the write end and let go of
// the other.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/guarded.hpp"
#include "base/result.hpp"
#include "transfer/page_pipe.hpp"

namespace trainyard::pipe {

// A descriptor that becomes readable, for good, when a stop is requested: for poll(2).
class StopFd {
 public:
  static Result<std::unique_ptr<StopFd>> make(std::stop_token stop);
  int get() const { return fd_.get(); }
  bool is_requested() const { return stop_.stop_requested(); }

 private:
  struct Wake {
    int fd;
    void operator()() const;
  };
  StopFd(Fd fd, std::stop_token stop);

  Fd fd_;
  std::stop_token stop_;
  std::stop_callback<Wake> callback_;
};

// Tells which files were opened. One for all channels: users may have few of them
// (fs.inotify.max_user_instances).
class OpenWatch {
 public:
  // `exhausted` where the user has too many. `stop` must outlive it.
  static Result<std::unique_ptr<OpenWatch>> start(const StopFd& stop);

  // From now on; returns the watch's number.
  Result<int> add(const fs::path& file);
  void remove(int number);

  // Waits until one of two was opened since add(), and returns its number; nothing when a stop was
  // requested.
  std::optional<int> wait(const std::stop_token& stop, int one, int other);

 private:
  struct State {
    std::set<int> watched;
    std::set<int> opened;
  };
  OpenWatch(Fd inotify, const StopFd& stop);
  void run();

  Fd inotify_;
  const StopFd& stop_;
  Guarded<State> state_;
  std::jthread thread_;  // ends with the stop
};

// One FIFO that waits for its reader.
class WaitingFifo {
 public:
  // Puts it at `path` in one step, whatever was there (but a folder). The watch must outlive it.
  static Result<WaitingFifo> make(const fs::path& path, uint32_t user_id, OpenWatch& watch);
  WaitingFifo(WaitingFifo&& other) noexcept;
  WaitingFifo& operator=(WaitingFifo&& other) noexcept;
  ~WaitingFifo();

  int watch_number() const { return number_; }
  const fs::path& path() const { return path_; }

  // The write end, for once, non-blocking and of 1 MiB where the system grants that. From now on
  // writes fail when there is no reader.
  Result<Fd> open_writer();

 private:
  WaitingFifo(fs::path path, OpenWatch& watch) : path_(std::move(path)), watch_(&watch) {}

  fs::path path_;
  OpenWatch* watch_;
  Fd handle_;  // of the FIFO itself, whatever happens to its name
  Fd anchor_;  // both ends
  int number_ = -1;
};

// The write end while there is a reader.
class FifoWriter {
 public:
  // The calling thread must have SIGPIPE blocked.
  FifoWriter(Fd fd, const StopFd& stop) : fd_(std::move(fd)), stop_(stop) {}

  // `cancelled` when the reader has gone (then is_abandoned()) or a stop was requested.
  Result<> write(std::string_view bytes);
  // The same; the pages go over as they are.
  Result<> pass(transfer::PagePipe& pages);
  // The bytes do not pass through memory of ours. `conflict` when the file is shorter.
  Result<> splice(int file, uint64_t offset, uint64_t length);

  bool is_abandoned() const { return is_abandoned_; }

 private:
  Result<> wait_for_room(std::string_view doing, int error);

  Fd fd_;
  const StopFd& stop_;
  bool is_abandoned_ = false;
};

}  // namespace trainyard::pipe
