// SPDX-License-Identifier: Apache-2.0
#include "main/settings.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/json.hpp"
#include "base/text.hpp"

namespace trainyard {

namespace {

constexpr int64_t kLongestJobSeconds = 28 * 86400;  // MaxRuntimeInSeconds ends at that

Setting text_setting(std::string name, std::string& target, std::string help) {
  return {std::move(name), std::move(help), false,
          [&target](const std::string& text) -> Result<> {
            target = text;
            return {};
          },
          [&target] { return json::serialize(json::value(json::string(target))); }};
}

Setting choice_setting(std::string name, std::string& target, std::vector<std::string> choices,
                       std::string help) {
  Setting setting = text_setting(name, target, std::move(help));
  setting.set = [&target, name, choices](const std::string& text) -> Result<> {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
      return fail(Code::invalid, "{} is one of {}, not '{}'", name, fmt::join(choices, ", "), text);
    }
    target = text;
    return {};
  };
  return setting;
}

template <class Number>
Setting number_setting(std::string name, Number& target, Number least, Number most,
                       std::string help) {
  return {name, std::move(help), false,
          [&target, name, least, most](const std::string& text) -> Result<> {
            auto number = parse_unsigned(text);
            if (!number || *number < static_cast<uint64_t>(least) ||
                *number > static_cast<uint64_t>(most)) {
              return fail(Code::invalid, "{} is a whole number from {} to {}, not '{}'", name,
                          least, most, text);
            }
            target = static_cast<Number>(*number);
            return {};
          },
          [&target] { return fmt::format("{}", target); }};
}

Setting flag_setting(std::string name, bool& target, std::string help) {
  return {name, std::move(help), true,
          [&target, name](const std::string& text) -> Result<> {
            if (text != "true" && text != "false") {
              return fail(Code::invalid, "{} is true or false, not '{}'", name, text);
            }
            target = text == "true";
            return {};
          },
          [&target] { return target ? "true" : "false"; }};
}

std::string text_of(const toml::node& node) {
  if (auto text = node.value_exact<std::string>()) return *text;
  if (auto number = node.value_exact<int64_t>()) return std::to_string(*number);
  if (auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  return "";
}

}  // namespace

std::string Setting::variable() const {
  return "TRAINYARD_" + to_upper(replace_all(name, "-", "_"));
}

std::vector<Setting> settings_of(ServeOptions& options) {
  return {
      text_setting("listen", options.listen, "ADDRESS:PORT; port 0 picks a free one"),
      text_setting("data-dir", options.data_dir, "Folder of all state"),
      text_setting("ready-file", options.ready_file,
                   "Written once it answers: endpoint, keys, region, account, pid as JSON"),
      text_setting("region", options.region, "AWS region that clients sign for"),
      text_setting("account-id", options.account_id, "AWS account number in ARNs"),
      number_setting<size_t>("max-running-jobs", options.max_running_jobs, 1, 1'000'000,
                             "Jobs at once; further ones wait in Pending"),
      number_setting<int64_t>("host-vcpus", options.host_vcpus, 0, 1'000'000,
                              "vCPUs that jobs share by their instance types; 0: not counted"),
      number_setting<int64_t>("host-memory-gib", options.host_memory_gib, 0, 1'000'000,
                              "Memory that jobs share by their instance types; 0: not counted"),
      text_setting("host-gpus", options.host_gpus,
                   "How many GPUs jobs are given, each to one at a time; auto: those of this host"),
      text_setting("instance-types", options.instance_types_file,
                   "TOML file of the instance types' sizes"),
      choice_setting("isolation", options.isolation, {"auto", "sandbox", "process"},
                     "auto: a sandbox where the host allows one; sandbox: refuse otherwise; "
                     "process: no walls"),
      choice_setting("job-network", options.job_network, {"auto", "own", "host"},
                     "auto: each job has a network of its own where this works, else the host's; "
                     "own: refuse otherwise; host: jobs share this machine's"),
      number_setting<int64_t>("job-memory-mib", options.job_memory_mib, 0, int64_t{1} << 40,
                              "Memory limit of each job, where cgroups can be made; 0: none"),
      number_setting<int64_t>("job-cpus", options.job_cpus, 0, 1'000'000,
                              "CPU limit of each job in cores, where cgroups can be made; 0: none"),
      number_setting<int64_t>("stop-grace-seconds", options.stop_grace_seconds, 0,
                              kLongestJobSeconds,
                              "Between SIGTERM and SIGKILL of a job that is stopped"),
      number_setting<int64_t>("store-quota", options.store_quota, 0, int64_t{1} << 60,
                              "Bytes that the embedded store may hold; further writes are refused "
                              "with QuotaExceeded; 0: no limit"),
      number_setting<int64_t>("cache-gib", options.cache_gib, 0, int64_t{1} << 30,
                              "Of objects from elsewhere, kept for further jobs; 0: none is kept"),
      choice_setting("broken-records", options.broken_records,
                     {"report", "fail", "skip-object", "ignore"},
                     "In TFRecord files of channels: said in the job's log, or the job fails, or "
                     "the file is left out; a job's tag trainyard:records wins"),
      text_setting("environments", options.environments_file,
                   "TOML file of the managed environments"),
      text_setting("environments-dir", options.environments_dir,
                   "Where environments are built; default <data-dir>/environments"),
      text_setting("uv", options.uv, "The uv program; looked up when not given"),
      text_setting("docker", options.docker,
                   "auto: Docker's socket where there is one; off; or unix:///path or "
                   "tcp://host:port of a daemon on this machine"),
      text_setting("docker-tls", options.docker_tls,
                   "Folder with ca.pem, cert.pem and key.pem for tcp://"),
      number_setting<int64_t>("docker-shm-mib", options.docker_shm_mib, 0, int64_t{1} << 30,
                              "/dev/shm of each container; 0: Docker's own, 64 MiB"),
      text_setting("docker-gpus", options.docker_gpus,
                   "GPUs of each container: all, or numbers such as 0,1; none when not given"),
      flag_setting("allow-plain-http", options.allow_plain_http,
                   "Listen without TLS on an address that others reach"),
  };
}

Result<> apply_file(const fs::path& file, const std::vector<Setting>& settings) {
  std::string text = TRY(read_file(file));
  toml::table root;
  try {
    root = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    std::ostringstream where;
    where << error.source();
    return fail(Code::invalid, "{}: {}", where.str(), error.description());
  }
  for (const auto& [key, node] : root) {
    std::string name(key.str());
    if (name == "s3" || name == "engine") continue;  // tables: remotes.cpp, engine_rules.cpp
    auto found = std::find_if(settings.begin(), settings.end(),
                              [&](const Setting& setting) { return setting.name == name; });
    if (found == settings.end()) {
      return fail(Code::invalid,
                  "{}: '{}' is no setting; `trainyard serve --print-config` lists them",
                  file.string(), name);
    }
    auto done = found->set(text_of(node));
    if (!done) return Failure(std::move(done).error().within(file.string()));
  }
  return {};
}

Result<> apply_environment(const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    const char* value = std::getenv(setting.variable().c_str());
    if (value == nullptr) continue;
    auto done = setting.set(value);
    if (!done) return Failure(std::move(done).error().within(setting.variable()));
  }
  return {};
}

std::string to_toml(const std::vector<Setting>& settings) {
  std::string text;
  for (const Setting& setting : settings) {
    text += fmt::format("# {} ({})\n{} = {}\n\n", setting.help, setting.variable(), setting.name,
                        setting.get());
  }
  return text;
}

}  // namespace trainyard
