// SPDX-License-Identifier: Apache-2.0
// Carries the journal's events and the log's lines to the server, from a thread of its own, for as
// long as it takes: a server that is down is asked again until it is back.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "agent/journal.hpp"
#include "agent/usage.hpp"
#include "base/fd.hpp"
#include "base/guarded.hpp"
#include "http/client.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::agent {

class Reporter {
 public:
  // `on_command` is called from the reporter's thread, for stop and obsolete. The references must
  // outlive the reporter.
  Reporter(const protocol::Assignment& assignment, const fs::path& log, Journal& journal,
           const Clock& clock, std::function<void(protocol::Command)> on_command);
  ~Reporter();

  // Returns when the server has everything, or calls the job obsolete. Requires: the journal is
  // finished and the log does not grow any more.
  void deliver_rest();

  // Returns true when the job's other instances have come as far as the last event says that this
  // one has (protocol::ReportAnswer::may_proceed); false when they never will, or at a stop.
  bool await_others(const std::stop_token& stop);

  // Reports at once and returns when the server has answered, or at the limit. Whatever it commands
  // has been passed on then.
  void ask(std::chrono::milliseconds limit);

 private:
  // What the latest answer says, for those who wait for one.
  struct Standing {
    int64_t answers = 0;
    int64_t acknowledged = 0;
    bool may_proceed = false;
    bool is_over = false;  // told to give up, or obsolete
    std::optional<std::chrono::steady_clock::time_point> waiting_since = {};
  };
  void work(const std::stop_token& stop);
  void wait_for_news(const std::stop_token& stop, bool is_connected);
  std::chrono::milliseconds heartbeat() const;
  // False when the server could not be asked.
  bool send();
  protocol::Report make_report();
  bool read_log(protocol::Report& report, bool is_final);
  void take(const protocol::ReportAnswer& answer);
  void become_obsolete();
  bool has_delivered_all() const;

  const protocol::Assignment& assignment_;
  fs::path log_;
  Journal& journal_;
  const Clock& clock_;
  std::function<void(protocol::Command)> on_command_;
  UsageMeter usage_;
  http::Client client_;
  Fd wake_;
  Fd watch_;  // inotify on the log
  int64_t acknowledged_ = 0;
  int64_t log_offset_ = 0;
  bool has_more_ = false;  // the log holds more than the last report took
  std::atomic<bool> is_final_ = false;
  std::atomic<bool> is_done_ = false;
  Guarded<Standing> standing_;
  std::jthread thread_;
};

}  // namespace trainyard::agent
