// SPDX-License-Identifier: Apache-2.0
#include "hydrate/guardian.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/log.hpp"
#include "base/process_tree.hpp"
#include "hydrate/hydrator.hpp"
#include "hydrate/messages.hpp"
#include "hydrate/state_files.hpp"

namespace trainyard::hydrate {

namespace {

using Steady = std::chrono::steady_clock;

constexpr int kVainLives = 3;  // hydrators in a row that die without having fetched anything
constexpr int kTickMs = 500;

void write_oom_score(std::string_view score) {
  // Without the right to it everything works but under memory pressure.
  auto file = open_file("/proc/self/oom_score_adj", O_WRONLY);
  if (file) (void)write_all(file->get(), score);
}

class Guardian {
 public:
  Guardian(const HydratePlan& plan, ChunkMap& map, Front& front, const MakeSource& make_source)
      : plan_(plan), map_(map), front_(front), make_source_(make_source) {}

  Result<> start();
  Result<> serve();
  void end();

 private:
  struct Waiting {
    Read read;
    uint64_t reached = 0;  // the bytes before are there: a mapping of all of a file waits long
    bool is_told = false;  // the hydrator was asked for it
    uint64_t gained = 0;   // chunks of the file when it last grew
    Steady::time_point since;
  };

  Result<> start_hydrator();
  void take(const Read& read);
  void take_notes();
  void settle(const Note& note);
  bool is_there(Waiting& waiting) const;
  void answer_if(const std::function<int(Waiting&)>& error_of);
  void ask();
  void on_death();
  void watch();
  bool is_stopped();
  void cut();

  const HydratePlan& plan_;
  ChunkMap& map_;
  Front& front_;
  const MakeSource& make_source_;
  Fd signals_;
  Fd hydrator_;  // socket
  pid_t pid_ = 0;
  uint64_t gained_at_birth_ = 0;
  int vain_lives_ = 0;
  bool is_broken_ = false;  // no hydrator any more
  std::vector<Waiting> waiting_;
  Steady::time_point watched_;
};

constexpr int kKeepWaiting = -1;

Result<> Guardian::start() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail_errno(errno, "making a descriptor for signals");
  write_oom_score("-1000");
  return start_hydrator();
}

Result<> Guardian::start_hydrator() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "making a socket pair");
  }
  hydrator_ = Fd(ends[0]);
  Fd theirs(ends[1]);
  gained_at_birth_ = map_.gained();
  pid_ = ::fork();
  if (pid_ < 0) {
    pid_ = 0;
    return fail_errno(errno, "forking the hydrator");
  }
  if (pid_ == 0) {
    hydrator_.reset();
    signals_.reset();
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    write_oom_score("0");
    run_hydrator(plan_, map_, front_, make_source_, std::move(theirs));
    ::_exit(0);
  }
  front_.exempt(pid_);
  for (Waiting& waiting : waiting_) waiting.is_told = false;
  if (auto process = identify(pid_)) {
    auto written = write_process(hydrator_file(plan_.state), *process);
    if (!written) log::warn("recording the hydrator", {{"cause", written.error().message}});
  }
  return {};
}

void Guardian::take(const Read& read) {
  FileStatus status = map_.status(read.file);
  if (status == FileStatus::failed) return front_.answer(read, EIO);
  bool is_there =
      status == FileStatus::complete || read.offset >= map_.size_bytes(read.file) ||
      (map_.covers(read.file, read.offset, read.length) && !map_.is_to_be_checked(read.file));
  if (is_there) return front_.answer(read, 0);
  if (is_broken_) return front_.answer(read, EIO);
  waiting_.push_back({read, read.offset, false, map_.gained(read.file), Steady::now()});
}

bool Guardian::is_there(Waiting& waiting) const {
  const Read& read = waiting.read;
  uint64_t size = map_.size_bytes(read.file);
  if (read.offset >= size) return true;
  uint64_t end = read.offset + std::min(read.length, size - read.offset);
  waiting.reached = map_.covered_until(read.file, waiting.reached, end - waiting.reached);
  return waiting.reached == end && !map_.is_to_be_checked(read.file);
}

void Guardian::answer_if(const std::function<int(Waiting&)>& error_of) {
  std::erase_if(waiting_, [&](Waiting& waiting) {
    int error = error_of(waiting);
    if (error != kKeepWaiting) front_.answer(waiting.read, error);
    return error != kKeepWaiting;
  });
}

void Guardian::settle(const Note& note) {
  if (note.kind == Note::Kind::complete) front_.on_complete(note.file);
  bool is_wrong = map_.status(note.file) == FileStatus::failed;
  answer_if([&](Waiting& waiting) {
    if (waiting.read.file != note.file) return kKeepWaiting;
    if (is_wrong) return EIO;
    if (is_there(waiting)) return 0;
    // Those that the hydrator has not heard of yet are not what failed.
    return note.kind == Note::Kind::failed && waiting.is_told ? EIO : kKeepWaiting;
  });
}

void Guardian::take_notes() {
  for (;;) {
    Note note;
    ssize_t count = ::recv(hydrator_.get(), &note, sizeof note, MSG_DONTWAIT);
    if (count != static_cast<ssize_t>(sizeof note)) return;
    settle(note);
  }
}

void Guardian::ask() {
  if (pid_ == 0) return;
  for (Waiting& waiting : waiting_) {
    if (waiting.is_told) continue;
    const Read& read = waiting.read;
    Demand demand{read.file, read.offset, read.length};
    ssize_t sent = ::send(hydrator_.get(), &demand, sizeof demand, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return;  // full, or it died: later
    waiting.is_told = true;
  }
}

// The hydrator may have ended.
void Guardian::on_death() {
  if (pid_ == 0 || ::waitpid(pid_, nullptr, WNOHANG) != pid_) return;
  pid_ = 0;
  front_.exempt(0);
  take_notes();  // its last ones are still in the socket
  // What it did not come to tell.
  for (uint32_t file = 0; file < map_.file_count(); ++file) {
    FileStatus status = map_.status(file);
    if (status == FileStatus::complete) front_.on_complete(file);
  }
  answer_if([&](Waiting& waiting) { return is_there(waiting) ? 0 : kKeepWaiting; });
  bool is_vain = map_.gained() == gained_at_birth_ && !waiting_.empty();
  vain_lives_ = is_vain ? vain_lives_ + 1 : 0;
  log::warn("the hydrator died", {{"waiting", waiting_.size()}, {"in_vain", vain_lives_}});
  if (vain_lives_ < kVainLives && start_hydrator()) return;
  is_broken_ = true;
  if (!waiting_.empty()) {
    const Read& read = waiting_.front().read;
    record_error(plan_.state, {plan_.files[read.file].object.text(), read.offset,
                               "the process that fetches it dies again and again"});
  }
  answer_if([](const Waiting&) { return EIO; });
}

// The last resort, against a hydrator that hangs: its own watchdog is faster.
void Guardian::watch() {
  auto now = Steady::now();
  if (now - watched_ < std::chrono::milliseconds(kTickMs)) return;
  watched_ = now;
  auto limit = 2 * plan_.stall_timeout + std::chrono::seconds(10);
  bool hangs = false;
  answer_if([&](const Waiting& waiting) {
    const Read& read = waiting.read;
    bool is_overdue = now - waiting.since > limit && map_.gained(read.file) == waiting.gained;
    if (!is_overdue) return kKeepWaiting;
    hangs = true;
    record_error(plan_.state, {plan_.files[read.file].object.text(), read.offset,
                               "the process that fetches it hangs"});
    return EIO;
  });
  if (hangs && pid_ != 0) ::kill(pid_, SIGKILL);  // on_death() starts another
  for (Waiting& waiting : waiting_) {
    uint64_t gained = map_.gained(waiting.read.file);
    if (gained == waiting.gained) continue;
    waiting.gained = gained;
    waiting.since = now;
  }
}

bool Guardian::is_stopped() {
  bool stopped = false;
  signalfd_siginfo signal{};
  while (::read(signals_.get(), &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) {
    stopped = stopped || signal.ssi_signo == SIGTERM;
  }
  return stopped;
}

Result<> Guardian::serve() {
  for (;;) {
    std::array<pollfd, 3> ready{{{front_.descriptor(), POLLIN, 0},
                                 {hydrator_.get(), POLLIN, 0},
                                 {signals_.get(), POLLIN, 0}}};
    if (pid_ == 0) ready[1].fd = -1;
    ::poll(ready.data(), ready.size(), kTickMs);
    watch();
    if (ready[2].revents != 0) {
      if (is_stopped()) return {};
      on_death();
    }
    if (ready[1].revents != 0) take_notes();
    if (ready[0].revents != 0) TRY(front_.take([this](const Read& read) { take(read); }));
    ask();
  }
}

// Cuts incomplete files in a child, and denies what is read meanwhile.
void Guardian::cut() {
  pid_t cutter = ::fork();
  if (cutter == 0) {
    cut_incomplete(front_.backing(), map_);
    ::_exit(0);
  }
  if (cutter < 0) return log::error("cutting incomplete files", {{"errno", errno}});
  front_.exempt(cutter);
  while (::waitpid(cutter, nullptr, WNOHANG) == 0) {
    std::array<pollfd, 2> ready{{{front_.descriptor(), POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
    ::poll(ready.data(), ready.size(), kTickMs);
    (void)is_stopped();  // takes SIGCHLD
    auto taken = front_.take([this](const Read& read) {
      bool is_complete = map_.status(read.file) == FileStatus::complete;
      front_.answer(read, is_complete ? 0 : EIO);
    });
    if (!taken) return;
  }
}

void Guardian::end() {
  if (pid_ != 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  answer_if([](const Waiting&) { return EIO; });
  cut();
  front_.close();
}

}  // namespace

Result<> run_guardian(const HydratePlan& plan, ChunkMap& map, Front& front,
                      const MakeSource& make_source, const std::function<Result<>()>& on_ready) {
  Guardian guardian(plan, map, front, make_source);
  auto done = guardian.start();
  if (done) done = on_ready();
  if (done) done = guardian.serve();
  guardian.end();
  return done;
}

}  // namespace trainyard::hydrate
