// SPDX-License-Identifier: Apache-2.0
// The holder: keeps what build() made, carries the service's connections, keeps the way out open.
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "base/log.hpp"
#include "network/build.hpp"
#include "network/files.hpp"
#include "network/forward.hpp"
#include "network/outside.hpp"

namespace trainyard::network {

namespace {

using std::chrono::steady_clock;

constexpr size_t kDescriptorsPerConnection = 6;  // two sockets, two pipes
constexpr size_t kReserved = 128;                // descriptors for everything else

// As many connections as this process may have descriptors for.
size_t raise_connection_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kEnough = 1 << 16;
  auto available = static_cast<size_t>(std::min(limit.rlim_cur, kEnough));
  return std::max(available, kReserved + kDescriptorsPerConnection) / kDescriptorsPerConnection -
         kReserved / kDescriptorsPerConnection;
}

class Holder {
 public:
  explicit Holder(fs::path folder) : folder_(std::move(folder)) {}

  Result<> make(const ProcessId& self) {
    Plan plan = TRY(read_plan(folder_));
    Design design;
    design.instances = plan.hosts.size();
    if (!plan.endpoint.empty()) design.service = TRY(parse_endpoint(plan.endpoint));
    auto missing = plan.has_outside ? missing_for_outside() : std::nullopt;
    design.has_outside = plan.has_outside && !missing;
    built_ = TRY(build(design));
    if (!built_.listeners.empty()) {
      size_t most = raise_connection_limit();
      forwarder_ = TRY(Forwarder::make(std::move(built_.listeners), *design.service, most));
    }
    std::string no_outside = missing.value_or(built_.no_tap);
    if (design.has_outside && built_.no_tap.empty()) {
      is_outside_wanted_ = true;
      no_outside = open_outside();
    }
    return publish(plan, self, no_outside);
  }

  // Until a signal comes, or the folder has gone.
  void run(int signals) {
    std::error_code error;
    while (fs::exists(folder_, error)) {
      std::array<pollfd, 3> watched{{{signals, POLLIN, 0},
                                     {forwarder_ ? forwarder_->descriptor() : -1, POLLIN, 0},
                                     {outside_ ? outside_->descriptor() : -1, POLLIN, 0}}};
      ::poll(watched.data(), watched.size(), is_busy_ ? 0 : kLookMs);
      if (watched[0].revents != 0) return;
      if (forwarder_) is_busy_ = forwarder_->run_once();
      if (watched[2].revents != 0) outside_.reset();
      if (is_outside_wanted_ && !outside_) reopen_outside();
    }
  }

 private:
  static constexpr int kLookMs = 1000;

  // The reason when it did not work.
  std::string open_outside() {
    opened_ = steady_clock::now();
    auto started = Outside::start(built_);
    if (!started) return started.error().message;
    outside_.emplace(*std::move(started));
    return "";
  }

  // Connections that it carried are broken; new ones go on. Not at once again and again.
  void reopen_outside() {
    if (steady_clock::now() - opened_ < std::chrono::seconds(1)) return;
    std::string why = open_outside();
    log::warn("the way out of a job's network had ended",
              {{"folder", folder_.string()}, {"again", why.empty() ? "open" : why}});
  }

  Result<> publish(const Plan& plan, const ProcessId& self, const std::string& no_outside) {
    Network network;
    network.holder = self;
    network.user_descriptor = built_.user.get();
    network.no_outside = no_outside;
    network.has_outside = outside_.has_value();
    if (network.has_outside) network.name_server = kNameServer;
    for (size_t place = 0; place < plan.hosts.size(); ++place) {
      network.instances.push_back(
          {plan.hosts[place], address_of(place), built_.instances[place].get()});
    }
    return write_network(folder_, network);
  }

  fs::path folder_;
  Built built_;
  std::unique_ptr<Forwarder> forwarder_;
  bool is_busy_ = false;
  bool is_outside_wanted_ = false;
  std::optional<Outside> outside_;
  steady_clock::time_point opened_;
};

}  // namespace

Result<> hold(const fs::path& folder) {
  sigset_t handled;
  sigemptyset(&handled);
  sigaddset(&handled, SIGTERM);
  sigaddset(&handled, SIGINT);
  ::sigprocmask(SIG_BLOCK, &handled, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  Fd signals(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  auto self = identify(::getpid());
  if (!signals || !self) return fail_errno(errno, "starting");
  // Also when whoever started us was killed before it could.
  TRY(write_holder(folder, *self));
  Holder holder(folder);
  auto made = holder.make(*self);
  if (!made) {
    static_cast<void>(write_error(folder, made.error()));
    return made;
  }
  holder.run(signals.get());
  return {};
}

}  // namespace trainyard::network
