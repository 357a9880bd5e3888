// SPDX-License-Identifier: Apache-2.0
// Watches a job's container until it has ended and its output is in the log.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <thread>

#include "agent/child.hpp"
#include "base/guarded.hpp"
#include "docker/client.hpp"

namespace trainyard::agent {

class ContainerFollower {
 public:
  // Works on a thread of its own until it is destroyed; a daemon that is away is asked again.
  explicit ContainerFollower(const Context& context);

  // Until the container has ended, one of the tokens is asked, or the time has come.
  enum class Woken { ended, stopped, aborted, time_over };
  Woken wait(const std::stop_token& stop, const std::stop_token& abort,
             std::optional<std::chrono::steady_clock::time_point> deadline);

  // Requires: it has ended. The error is why nobody knows how.
  Result<docker::Container> end() const;
  docker::Container ended() const { return end().value_or(docker::Container{}); }

 private:
  using End = std::optional<Result<docker::Container>>;
  void work(const std::stop_token& stop);
  Result<docker::Container> follow(const std::stop_token& stop);

  const Context& context_;
  Guarded<End> end_;
  std::jthread thread_;
};

// As run_child(): SIGTERM and grace on a stop or at the deadline. `tend` is called now and then.
Result<ChildEnd> follow_to_end(const Context& context, const ChildPlan& plan,
                               docker::Client& docker, ContainerFollower& follower,
                               const std::function<void()>& tend);

}  // namespace trainyard::agent
