// SPDX-License-Identifier: Apache-2.0
#include "agent/reporter.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/log_chunk.hpp"
#include "base/log.hpp"

namespace trainyard::agent {

namespace {

constexpr std::chrono::milliseconds kHeartbeat{5000};
constexpr std::chrono::milliseconds kRetry{500};
// Lines that come close together travel together.
constexpr std::chrono::milliseconds kGather{20};

}  // namespace

Reporter::Reporter(const protocol::Assignment& assignment, const fs::path& log, Journal& journal,
                   const Clock& clock, std::function<void(protocol::Command)> on_command)
    : assignment_(assignment),
      log_(log),
      journal_(journal),
      clock_(clock),
      on_command_(std::move(on_command)),
      usage_(assignment, log.parent_path(), clock),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      watch_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  ::inotify_add_watch(watch_.get(), log_.c_str(), IN_MODIFY);
  journal_.on_event([this] { ::eventfd_write(wake_.get(), 1); });
  thread_ = std::jthread([this](std::stop_token stop) { work(stop); });
}

Reporter::~Reporter() {
  thread_.request_stop();
  ::eventfd_write(wake_.get(), 1);
}

void Reporter::deliver_rest() {
  is_final_ = true;
  ::eventfd_write(wake_.get(), 1);
  is_done_.wait(false);
}

void Reporter::work(const std::stop_token& stop) {
  while (!stop.stop_requested() && !is_done_) {
    bool is_sent = send();
    if (!is_sent && ::access(log_.c_str(), F_OK) != 0) {
      // The service's data was removed while it was away: nobody will ever ask for the rest.
      become_obsolete();
      return;
    }
    if (is_sent && is_final_ && has_delivered_all()) {
      is_done_ = true;
      is_done_.notify_all();
      return;
    }
    if (is_sent && has_more_) continue;
    wait_for_news(stop, is_sent);
  }
}

bool Reporter::await_others(const std::stop_token& stop) {
  auto events = journal_.events_after(0);
  int64_t own = events.empty() ? 0 : events.back().sequence;
  standing_.with([](Standing& now) { now.waiting_since = std::chrono::steady_clock::now(); });
  ::eventfd_write(wake_.get(), 1);
  auto never = std::chrono::steady_clock::now() + std::chrono::hours(24 * 365);
  auto has_come = [&](const Standing& now) { return now.acknowledged >= own && now.may_proceed; };
  return standing_.wait(
      stop, never, [&](const Standing& now) { return now.is_over || has_come(now); },
      [&](Standing& now) {
        now.waiting_since.reset();
        return !now.is_over && has_come(now);
      });
}

void Reporter::ask(std::chrono::milliseconds limit) {
  // One that is under way may have been answered before now.
  constexpr int64_t kFresh = 2;
  int64_t before = standing_.with([](const Standing& now) { return now.answers; });
  auto deadline = std::chrono::steady_clock::now() + limit;
  for (int64_t i = 1; i <= kFresh; ++i) {
    ::eventfd_write(wake_.get(), 1);
    standing_.wait(
        {}, deadline, [&](const Standing& now) { return now.is_over || now.answers >= before + i; },
        [](Standing&) {});
  }
}

// An instance that waits for others asks again soon, less often the longer it has waited.
std::chrono::milliseconds Reporter::heartbeat() const {
  using std::chrono::milliseconds;
  auto since = standing_.with([](const Standing& now) { return now.waiting_since; });
  if (!since) return kHeartbeat;
  auto waited = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - *since);
  return std::clamp(waited / 20, milliseconds(10), milliseconds(1000));
}

void Reporter::wait_for_news(const std::stop_token& stop, bool is_connected) {
  // While the server is away news do not make it come back: only the time counts.
  std::chrono::milliseconds limit = is_connected ? heartbeat() : kRetry;
  std::array<pollfd, 2> watched{{{wake_.get(), POLLIN, 0}, {watch_.get(), POLLIN, 0}}};
  ::poll(watched.data(), is_connected ? 2 : 0, static_cast<int>(limit.count()));
  if (stop.stop_requested() || is_final_) return;
  if (is_connected && watched[1].revents != 0) {
    ::poll(watched.data(), 1, static_cast<int>(kGather.count()));
  }
  eventfd_t count = 0;
  ::eventfd_read(wake_.get(), &count);
  std::array<char, 4096> waste;
  while (::read(watch_.get(), waste.data(), waste.size()) > 0) {
  }
}

protocol::Report Reporter::make_report() {
  protocol::Report report;
  report.job = assignment_.job_name;
  report.attempt = assignment_.attempt;
  report.host = assignment_.host;
  // Whether more comes is asked before reading: what is final then is final in what is read.
  bool is_final = is_final_;
  report.measurements = usage_.measure();
  report.events = journal_.events_after(acknowledged_);
  bool is_log_whole = read_log(report, is_final);
  // A job that is seen to be terminal has all its log.
  bool is_end_held_back = !is_final || !is_log_whole;
  if (is_end_held_back && !report.events.empty() &&
      report.events.back().kind == protocol::EventKind::finished) {
    report.events.pop_back();
  }
  return report;
}

// Adds the next lines; true when nothing of the log is left behind them.
bool Reporter::read_log(protocol::Report& report, bool is_final) {
  constexpr size_t kReadBytes = 2 << 20;
  has_more_ = false;
  std::string bytes(kReadBytes, '\0');
  auto file = open_file(log_, O_RDONLY);
  auto count = file ? read_at(file->get(), bytes, static_cast<uint64_t>(log_offset_))
                    : Result<size_t>(Failure(file.error()));
  if (!count || *count == 0) return true;
  bytes.resize(*count);
  auto chunk = cut_lines(bytes, log_offset_, to_epoch_ms(clock_.now()), is_final);
  bool is_whole = *count < kReadBytes && chunk.end == log_offset_ + static_cast<int64_t>(*count);
  has_more_ = !is_whole && !chunk.lines.empty();
  if (!chunk.lines.empty()) report.log = std::move(chunk);
  return is_whole;
}

bool Reporter::send() {
  http::Call call;
  call.method = "POST";
  call.url = assignment_.server.endpoint + std::string(protocol::kReportPath);
  call.headers = {{"Authorization", "Bearer " + assignment_.server.report_token},
                  {"Content-Type", "application/json"}};
  call.body = json::serialize(to_json(make_report()));
  auto answered = client_.send(call);
  if (!answered) return false;
  if (answered->status == 401) {
    log::warn("the server does not know this instance any more");
    become_obsolete();
    return true;
  }
  auto document = json::parse_object(answered->body);
  auto answer = document ? protocol::parse_answer(*document)
                         : Result<protocol::ReportAnswer>(Failure(document.error()));
  if (answered->status != 200 || !answer) {
    log::warn("a report was not taken", {{"status", answered->status}});
    return false;
  }
  take(*answer);
  return true;
}

void Reporter::become_obsolete() {
  on_command_(protocol::Command::obsolete);
  standing_.change([](Standing& now) { now.is_over = true; });
  is_done_ = true;
  is_done_.notify_all();
}

void Reporter::take(const protocol::ReportAnswer& answer) {
  acknowledged_ = answer.acknowledged_sequence;
  if (answer.log_offset != log_offset_)
    log_offset_ = answer.log_offset;
  else
    has_more_ = false;
  if (answer.command != protocol::Command::go_on) on_command_(answer.command);
  standing_.change([&](Standing& now) {
    ++now.answers;
    now.acknowledged = answer.acknowledged_sequence;
    now.may_proceed = answer.may_proceed;
    now.is_over = now.is_over || answer.command == protocol::Command::give_up;
  });
}

bool Reporter::has_delivered_all() const {
  struct stat info {};
  bool is_read = ::stat(log_.c_str(), &info) != 0 || log_offset_ >= info.st_size;
  return is_read && journal_.events_after(acknowledged_).empty();
}

}  // namespace trainyard::agent
