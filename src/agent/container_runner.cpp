// SPDX-License-Identifier: Apache-2.0
#include "agent/container_runner.hpp"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "agent/container_follower.hpp"
#include "agent/container_job.hpp"
#include "base/text.hpp"
#include "docker/registry_auth.hpp"
#include "sandbox/supervise.hpp"

namespace trainyard::agent {

namespace {

using docker::ContainerStatus;

constexpr std::string_view kCannotPull =
    "Cannot pull algorithm container. Either the image does not exist or its permissions are "
    "incorrect.";

Failure cannot_pull(const Error& error) {
  return client_error(fmt::format("{} ({})", kCannotPull, error.message));
}

// False when the token was asked meanwhile.
bool pause(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

// Tells how far a pull is: in the status now and then, in the log more rarely.
class PullTeller {
 public:
  explicit PullTeller(Context& context) : context_(context) {}

  void tell(const std::string& progress) {
    auto now = std::chrono::steady_clock::now();
    if (now - last_status_ < std::chrono::seconds(1)) return;
    last_status_ = now;
    std::string line = fmt::format("Downloading the training image: {}", progress);
    static_cast<void>(context_.journal.add(protocol::EventKind::progress, line));
    if (now - last_line_ < std::chrono::seconds(10)) return;
    last_line_ = now;
    context_.say(line);
  }

 private:
  Context& context_;
  std::chrono::steady_clock::time_point last_status_{};
  std::chrono::steady_clock::time_point last_line_{};
};

}  // namespace

Result<> ContainerRunner::connect(const Context& context) {
  if (docker_) return {};
  constexpr int kTries = 60;  // seconds; a daemon that is upgraded takes some
  docker::Host host = TRY(docker_host(context.assignment));
  for (int i = 1;; ++i) {
    auto connected = docker::Client::connect(host);
    if (connected) {
      docker_.emplace(std::move(*connected));
      return {};
    }
    if (!is_retryable(connected.error().code) || i == kTries) {
      return Failure(std::move(connected).error());
    }
    if (!pause(context.stop, std::chrono::seconds(1))) return fail(Code::cancelled, "stopped");
  }
}

Result<> ContainerRunner::find(Context& context) {
  auto reference = docker::parse_reference(context.assignment.image);
  if (!reference) return cannot_pull(reference.error());
  TRY(connect(context));
  // What an agent left that was killed between making a container and saying so.
  return docker_->remove_container(container_name(context.assignment));
}

bool ContainerRunner::is_at_hand(Context& context) {
  return docker_->inspect_image(context.assignment.image).has_value();
}

Result<> ContainerRunner::pull(Context& context, const docker::Reference& reference) {
  auto auth = docker::registry_auth(docker::registry_config_file(), reference.registry);
  if (!auth) return cannot_pull(auth.error());
  context.say(fmt::format("Pulling {}", context.assignment.image));
  PullTeller teller(context);
  auto tell = [&](const std::string& progress) { teller.tell(progress); };
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    auto pulled = docker_->pull(reference, *auth, tell, context.stop);
    if (pulled || pulled.error().code == Code::cancelled) return pulled;
    if (!is_retryable(pulled.error().code) || i == kTries) return cannot_pull(pulled.error());
    context.say("The image could not be pulled, trying again: " + pulled.error().message);
    if (!pause(context.stop, std::chrono::seconds(i))) return fail(Code::cancelled, "stopped");
  }
}

Result<> ContainerRunner::make(Context& context) {
  auto found = docker_->inspect_image(context.assignment.image);
  if (!found && found.error().code == Code::not_found) {
    TRY(pull(context, TRY(docker::parse_reference(context.assignment.image))));
    found = docker_->inspect_image(context.assignment.image);
  }
  if (!found) return cannot_pull(found.error());
  image_ = std::move(*found);
  context.say(fmt::format("Image {} ({})", context.assignment.image, image_.id));
  return {};
}

void ContainerRunner::take_over(Context& context) {
  if (!connect(context)) return;  // run() says so
  auto found = docker_->inspect_image(context.assignment.image);
  if (found) image_ = std::move(*found);
}

Result<Plan> ContainerRunner::plan(const Context& context) {
  Plan plan;
  plan.is_script_mode = false;
  plan.command = container_command(context.assignment, image_);
  return plan;
}

// The service as containers see it: through the host's address in their network where it listens
// on loopback.
Result<std::string> ContainerRunner::provide_endpoint(const Context& context) {
  const protocol::Assignment& assignment = context.assignment;
  if (assignment.is_network_isolated) return std::string();
  if (!forward_) {
    auto network = TRY(docker_->inspect_network(assignment.host_settings.container.network));
    forward_ = {network.gateway, network.subnet, assignment.server.endpoint};
  }
  auto endpoint = docker::ensure_forwarder(context.program, context.folder, *forward_);
  if (endpoint) return endpoint;
  return Failure(std::move(endpoint).error().within(
      "containers cannot reach the service (the Docker daemon has to share this host's network)"));
}

Result<> ContainerRunner::start(const Context& context) {
  const protocol::Assignment& assignment = context.assignment;
  std::string name = container_name(assignment);
  fs::path marker = context.folder / "run.json";
  std::error_code error;
  if (!fs::exists(marker, error)) {
    TRY(open_folders(context));
    std::string endpoint = TRY(provide_endpoint(context));
    auto info = TRY(docker_->info());
    // A daemon with root's rights would leave files behind that we cannot remove.
    bool is_ours = ::geteuid() == 0 || info.is_rootless;
    std::string user = is_ours ? "" : fmt::format("{}:{}", ::geteuid(), ::getegid());
    if (!is_ours) {
      context.say(fmt::format("Note: the container runs as user {}: the service is not root.",
                              ::geteuid()));
    }
    auto created = docker_->create_container(name, container_spec(context, endpoint, user));
    if (!created && created.error().code == Code::invalid) {
      return client_error("The container cannot be made: " + created.error().message);
    }
    if (!created) return Failure(std::move(created).error());
    json::object document{{"container", *created}};
    TRY(write_file_atomically(marker, json::serialize(document), 0600));
  }
  auto container = docker_->inspect_container(name);
  if (!container && container.error().code == Code::not_found) {
    return fail(Code::internal, "the job's container was removed by somebody else");
  }
  if (!container) return Failure(std::move(container).error());
  if (container->status != ContainerStatus::created) return {};
  auto started = docker_->start_container(name);
  if (started || is_retryable(started.error().code)) return started;
  return client_error("The container cannot be started: " + started.error().message);
}

Result<ChildEnd> ContainerRunner::run(const Context& context, const ChildPlan& plan) {
  TRY(connect(context));
  TRY(start(context));
  ContainerFollower follower(context);
  auto keep_endpoint = [&] { static_cast<void>(provide_endpoint(context)); };
  ChildEnd end = TRY(follow_to_end(context, plan, *docker_, follower, keep_endpoint));
  docker::end_forwarder(context.folder);
  is_killed_for_memory_ = follower.ended().is_killed_for_memory;
  return end;
}

std::string ContainerRunner::memory_evidence(const Context& context) {
  if (!is_killed_for_memory_) return "";
  int64_t limit = context.assignment.host_settings.memory_limit_bytes;
  if (limit <= 0) return "killed for memory: the machine had none left";
  return fmt::format("killed for memory: the job's limit is {}",
                     format_bytes(static_cast<uint64_t>(limit)));
}

void ContainerRunner::clean_up(const Context& context) {
  docker::end_forwarder(context.folder);
}

}  // namespace trainyard::agent
