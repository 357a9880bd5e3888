// SPDX-License-Identifier: Apache-2.0
// Fetches for tests and measurements. One JSON document on standard input
//   {"endpoint": …, "region": …, "access_key": …, "secret_key": …, "bucket": …, "folder": …,
//    "prefix": … or "files": [{"key": …, "size": …, "etag": …, "path": …}],
//    "threads": 0, "stall_ms": 60000, "pause_ms": 100, "tries": 8, "ranges_from": …,
//    "range_bytes": …, "direct_from": …, "ranges_rtt_us": 1000, "stop_after_bytes": …, "observe":
//    false}
// and one on standard output
//   {"error": "" or text, "code": …, "bytes": …, "files": …, "seconds": …, "cpu_seconds": …,
//    "observed": {key: MD5 of what an observer saw to the end}}
#include <sys/resource.h>

#include <atomic>
#include <iostream>
#include <iterator>
#include <map>

#include "base/guarded.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "objects/checksum.hpp"
#include "transfer/channel_plan.hpp"
#include "transfer/fetch.hpp"

namespace trainyard::transfer {

namespace {

using Seen = Guarded<std::map<std::string, std::string>>;

class Witness : public Observer {
 public:
  Witness(std::string key, Seen& seen) : key_(std::move(key)), seen_(seen) {}
  void add(std::string_view bytes) override { md5_->add(bytes); }
  void done() override {
    std::string digest = to_hex(md5_->finish());
    seen_.with([&](auto& seen) { seen[key_] = digest; });
  }

 private:
  std::string key_;
  Seen& seen_;
  std::unique_ptr<objects::Digest> md5_ = objects::make_md5();
};

struct Job {
  S3Access access;
  std::vector<Fetch> fetches;
  FetchOptions options;
  uint64_t stop_after = UINT64_MAX;
};

void take_number(const json::object& document, const char* name, auto take) {
  if (auto number = json::find_integer(document, name)) take(*number);
}

FetchOptions options_of(const json::object& document) {
  using std::chrono::milliseconds;
  FetchOptions options;
  auto take = [&](const char* name, auto function) { take_number(document, name, function); };
  take("threads", [&](int64_t n) { options.max_threads = static_cast<size_t>(n); });
  take("stall_ms", [&](int64_t n) { options.stall = milliseconds(n); });
  take("pause_ms", [&](int64_t n) { options.first_pause = milliseconds(n); });
  take("tries", [&](int64_t n) { options.max_tries = static_cast<int>(n); });
  take("ranges_from", [&](int64_t n) { options.ranges_from = static_cast<uint64_t>(n); });
  take("range_bytes", [&](int64_t n) { options.range_bytes = static_cast<uint64_t>(n); });
  take("direct_from", [&](int64_t n) { options.direct_from = static_cast<uint64_t>(n); });
  take("ranges_rtt_us", [&](int64_t n) { options.ranges_rtt = std::chrono::microseconds(n); });
  return options;
}

Result<Job> job_of(const json::object& document) {
  Job job;
  job.access.endpoint = TRY(json::get_string(document, "endpoint"));
  job.access.region = TRY(json::get_string(document, "region"));
  job.access.credentials.access_key = TRY(json::get_string(document, "access_key"));
  job.access.credentials.secret_key = TRY(json::get_string(document, "secret_key"));
  std::string bucket = TRY(json::get_string(document, "bucket"));
  fs::path folder = TRY(json::get_string(document, "folder"));
  job.options = options_of(document);
  take_number(document, "stop_after_bytes",
              [&](int64_t n) { job.stop_after = static_cast<uint64_t>(n); });
  if (auto prefix = json::find_string(document, "prefix")) {
    S3Uri uri{bucket, std::string(*prefix)};
    S3Client client(job.access);
    auto plan = TRY(plan_channel(uri, TRY(client.list(uri))));
    for (const PlannedFile& file : plan.files) {
      job.fetches.push_back({{bucket, file.key}, file.size, file.etag, folder / file.path});
    }
    return job;
  }
  const json::array* files = json::find_array(document, "files");
  if (files == nullptr) return fail(Code::invalid, "neither prefix nor files");
  for (const auto& file : *files) {
    const json::object& row = file.as_object();
    std::string key = TRY(json::get_string(row, "key"));
    auto size = json::find_integer(row, "size").value_or(0);
    std::string etag(json::find_string(row, "etag").value_or(""));
    std::string path(json::find_string(row, "path").value_or(key));
    job.fetches.push_back({{bucket, key}, static_cast<uint64_t>(size), etag, folder / path});
  }
  return job;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

json::object run(const json::object& document) {
  auto job = job_of(document);
  if (!job) return {{"error", job.error().message}, {"code", name(job.error().code)}};
  Seen seen;
  std::stop_source stop;
  std::atomic<uint64_t> bytes = 0;
  std::atomic<int64_t> files = 0;
  job->options.on_bytes = [&](uint64_t count) {
    if ((bytes += count) >= job->stop_after) stop.request_stop();
  };
  job->options.on_file = [&](const Fetch&) { ++files; };
  if (json::find_bool(document, "observe").value_or(false)) {
    job->options.observe = [&](const Fetch& fetch) {
      return std::make_unique<Witness>(fetch.object.key, seen);
    };
  }
  double cpu = cpu_seconds();
  auto began = std::chrono::steady_clock::now();
  auto done = fetch_all(job->access, job->fetches, job->options, stop.get_token());
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
  json::object observed;
  seen.with([&](auto& map) {
    for (const auto& [key, digest] : map) observed[key] = digest;
  });
  return {{"error", done ? "" : done.error().message},
          {"code", done ? "" : name(done.error().code)},
          {"bytes", bytes.load()},
          {"files", files.load()},
          {"seconds", seconds.count()},
          {"cpu_seconds", cpu_seconds() - cpu},
          {"observed", std::move(observed)}};
}

}  // namespace

}  // namespace trainyard::transfer

int main() {
  using namespace trainyard;
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  auto document = json::parse_object(text);
  if (!document) return 2;
  std::cout << json::serialize(transfer::run(*document)) << std::endl;
  return 0;
}
