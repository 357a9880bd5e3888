// SPDX-License-Identifier: Apache-2.0
#include "main/serve.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>

#include "api/dispatch.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "cli/service.hpp"
#include "http/server.hpp"
#include "main/instance_types.hpp"
#include "sandbox/sandbox.hpp"
#include "scheduler/scheduler.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard {

namespace {

Result<http::ServerOptions> parse_listen(const ServeOptions& serve) {
  std::string_view listen = serve.listen;
  size_t colon = listen.rfind(':');
  auto port =
      colon == std::string_view::npos ? std::nullopt : parse_unsigned(listen.substr(colon + 1));
  if (!port || *port > 65535) {
    return fail(Code::invalid, "--listen takes ADDRESS:PORT, such as 127.0.0.1:4600");
  }
  http::ServerOptions options;
  options.host = std::string(listen.substr(0, colon));
  options.port = static_cast<uint16_t>(*port);
  bool is_loopback = options.host.starts_with("127.") || options.host == "::1";
  if (!is_loopback && !serve.allow_plain_http) {
    return fail(Code::denied,
                "{} is no loopback address: keys and data would travel readable by others. Put a "
                "TLS proxy in front, or say --allow-plain-http",
                options.host);
  }
  return options;
}

Result<aws::Credentials> load_or_make_credentials(const fs::path& file) {
  if (auto text = read_file(file)) {
    auto document = TRY(json::parse_object(*text));
    aws::Credentials kept;
    kept.access_key = TRY(json::get_string(document, "access_key"));
    kept.secret_key = TRY(json::get_string(document, "secret_key"));
    return kept;
  } else if (text.error().code != Code::not_found) {
    return Failure(text.error());
  }
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  aws::Credentials made{"TYAK" + random_text(16, kLetters), random_hex(20), ""};
  json::object document{{"access_key", made.access_key}, {"secret_key", made.secret_key}};
  TRY(write_file_atomically(file, json::serialize(document), 0600));
  return made;
}

// Two servers on one data dir would each think that the jobs are theirs.
Result<Fd> lock_data_dir(const fs::path& data_dir) {
  Fd fd = TRY(open_file(data_dir / "lock", O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  return fail(Code::conflict, "another trainyard serves {}; stop it, or take another --data-dir",
              data_dir.string());
}

void print_how_to_use(const std::string& endpoint, const api::Account& account) {
  fmt::print(
      "Trainyard serves at {0}. In the shell of your client:\n"
      "  export AWS_ENDPOINT_URL={0} AWS_DEFAULT_REGION={1}\n"
      "  export AWS_ACCESS_KEY_ID={2} AWS_SECRET_ACCESS_KEY={3}\n"
      "or, on this machine: eval \"$(trainyard env)\"\n",
      endpoint, account.region, account.credentials.access_key, account.credentials.secret_key);
  std::fflush(stdout);
}

Result<> write_ready_file(const fs::path& file, const std::string& endpoint,
                          const api::Account& account) {
  json::object document{{"endpoint", endpoint},
                        {"access_key", account.credentials.access_key},
                        {"secret_key", account.credentials.secret_key},
                        {"region", account.region},
                        {"account_id", account.id},
                        {"pid", ::getpid()}};
  return write_file_atomically(file, json::serialize(document), 0600);
}

}  // namespace

namespace {

void warn_about_isolation(const std::string& isolation) {
  auto can = sandbox::probe();
  if (isolation == "process" || (isolation == "auto" && !can)) {
    log::warn("JOBS ARE NOT WALLED OFF: their scripts run with this user's rights",
              {{"isolation", isolation}, {"why", can ? "as configured" : can.error().message}});
  } else if (!can) {
    log::warn("jobs will fail: isolation is \"sandbox\" and this host cannot build one",
              {{"why", can.error().message}});
  }
}

// Whether a remote bucket has something under the prefix; nullopt: the bucket is no remote one.
std::optional<Result<bool>> probe_remote(const std::vector<RemoteS3>& remotes,
                                         const S3Uri& prefix) {
  const RemoteS3* remote = find_remote(remotes, prefix.bucket);
  if (remote == nullptr) return std::nullopt;
  auto has_some = transfer::S3Client(transfer::access_of(*remote)).has_objects(prefix);
  if (has_some) return has_some;
  return Failure(std::move(has_some).error().within("[s3.remotes." + remote->name + "]"));
}

Result<scheduler::Capacity> capacity_of(const ServeOptions& options) {
  scheduler::Capacity capacity;
  capacity.jobs = options.max_running_jobs;
  if (options.host_vcpus > 0) capacity.vcpus = static_cast<double>(options.host_vcpus);
  if (options.host_memory_gib > 0) capacity.memory_bytes = options.host_memory_gib << 30;
  constexpr uint64_t kMaxGpus = 1024;
  auto gpus = parse_unsigned(options.host_gpus);
  if (options.host_gpus != "auto" && gpus.value_or(kMaxGpus + 1) > kMaxGpus) {
    return fail(Code::invalid, "host-gpus is auto or a number up to {}, not '{}'", kMaxGpus,
                options.host_gpus);
  }
  capacity.gpus = gpus ? static_cast<int64_t>(*gpus) : count_gpus();
  return capacity;
}

engine::LocalEngineOptions engine_options(const ServeOptions& options, const fs::path& data_dir) {
  std::error_code error;
  engine::LocalEngineOptions engine;
  engine.jobs_dir = data_dir / "jobs";
  engine.program = fs::read_symlink("/proc/self/exe", error);
  engine.host.environments_dir = options.environments_dir.empty()
                                     ? (data_dir / "environments").string()
                                     : fs::absolute(options.environments_dir, error).string();
  engine.host.environments_file = fs::absolute(options.environments_file, error).string();
  engine.host.uv = options.uv;
  engine.host.cache_dir = (data_dir / "cache").string();
  engine.host.cache_limit_bytes = options.cache_gib << 30;
  engine.host.record_policy = protocol::parse_record_policy(options.broken_records)
                                  .value_or(protocol::RecordPolicy::report);
  engine.host.isolation = options.isolation;
  engine.job_network = options.job_network;
  engine.host.memory_limit_bytes = options.job_memory_mib << 20;
  engine.host.stop_grace_seconds = options.stop_grace_seconds;
  engine.host.cpu_limit = static_cast<double>(options.job_cpus);
  return engine;
}

}  // namespace

Result<> serve(const ServeOptions& options) {
  // Blocked before any thread starts, so that only the sigwait below sees them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  auto server_options = TRY(parse_listen(options));
  TRY(make_directories(options.data_dir, 0700));
  std::error_code error;
  fs::path data_dir = fs::canonical(options.data_dir, error);
  Fd lock = TRY(lock_data_dir(data_dir));
  api::Account account{options.account_id, options.region, {}};
  account.credentials = TRY(load_or_make_credentials(data_dir / "credentials.json"));
  SystemClock clock;
  auto store =
      TRY(objects::ObjectStore::open(data_dir, clock, static_cast<uint64_t>(options.store_quota)));
  auto jobs = TRY(jobs::JobStore::open(data_dir / "server.db", clock));
  auto logs = TRY(logs::LogStore::open(data_dir / "logs.db", clock));
  auto metrics = TRY(metrics::MetricStore::open(data_dir / "metrics.db", clock));
  auto engine = TRY(make_engines(options, data_dir, engine_options(options, data_dir)));

  // The scheduler needs the port, and requests need the scheduler: those that come before it is
  // there wait for nothing, for its first look sees all jobs.
  std::atomic<scheduler::Scheduler*> awake = nullptr;
  auto wake = [&] {
    if (auto* running = awake.load()) running->wake();
  };
  auto probe = [&](const S3Uri& prefix) { return probe_remote(options.remotes, prefix); };
  api::Dispatcher dispatcher(
      api::Services{account, *store, *jobs, *logs, *metrics, clock, wake, probe});
  auto handle = [&](http::Request& request) { return dispatcher.handle(request); };
  auto server = TRY(http::Server::start(server_options, handle));
  std::string endpoint = fmt::format("http://{}:{}", server_options.host, server->port());

  scheduler::SchedulerOptions scheduling;
  scheduling.capacity = TRY(capacity_of(options));
  if (!options.instance_types_file.empty()) {
    scheduling.types = TRY(load_instance_types(options.instance_types_file));
  }
  scheduling.server.endpoint = endpoint;
  scheduling.server.region = account.region;
  scheduling.server.remotes = options.remotes;
  scheduler::Scheduler scheduler(scheduling, *jobs, *engine, clock);
  TRY(scheduler.recover());
  scheduler.start();
  awake = &scheduler;

  TRY(write_ready_file(data_dir / cli::access_file_name(), endpoint, account));
  warn_about_isolation(options.isolation);
  print_how_to_use(endpoint, account);
  if (!options.ready_file.empty()) {
    TRY(write_ready_file(options.ready_file, endpoint, account));
  }
  int signal = 0;
  sigwait(&ends, &signal);
  log::info("stopping; jobs that run go on", {{"signal", signal}});
  awake = nullptr;
  server.reset();
  return {};
}

}  // namespace trainyard
