// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>

#include "agent/checkpoints.hpp"
#include "agent/script.hpp"
#include "agent/stages.hpp"
#include "base/text.hpp"
#include "transfer/archive.hpp"
#include "transfer/downloader.hpp"

namespace trainyard::agent {

namespace {

Failure download_failed(const Error& error) {
  if (error.code == Code::cancelled) return Failure(error);
  return client_error("Data download failed:" + error.message);
}

// Says how far a download is, in the job's log and as StatusMessage, every few seconds.
class Meter {
 public:
  Meter(const Context& context, std::string what, uint64_t total)
      : context_(context), what_(std::move(what)), total_(total), last_(Steady::now()) {}

  void add(uint64_t bytes) {
    uint64_t done = done_ += bytes;
    auto now = Steady::now();
    auto last = last_.load();
    constexpr std::chrono::seconds kInterval{5};
    if (now - last < kInterval || !last_.compare_exchange_strong(last, now)) return;
    std::string line = fmt::format("{}: {} of {}", what_, format_bytes(done), format_bytes(total_));
    context_.say(line);
    static_cast<void>(context_.journal.add(protocol::EventKind::progress, line));
  }

 private:
  using Steady = std::chrono::steady_clock;
  const Context& context_;
  std::string what_;
  uint64_t total_;
  std::atomic<uint64_t> done_ = 0;
  std::atomic<Steady::time_point> last_;
};

Result<> download_channel(const Context& context, const Channel& channel) {
  S3Uri prefix = TRY(S3Uri::parse(channel.s3_uri));
  transfer::S3Client client(context.s3_access(), context.stop);
  auto objects = TRY(client.list(prefix));
  if (channel.distribution == Distribution::sharded_by_key) {
    const std::vector<std::string>& hosts = context.assignment.hosts;
    auto self = std::find(hosts.begin(), hosts.end(), context.assignment.host);
    objects = transfer::take_shard(std::move(objects), static_cast<size_t>(self - hosts.begin()),
                                   hosts.size());
  }
  auto plan = TRY(transfer::plan_channel(prefix, objects));
  if (plan.files.empty()) {
    return fail(Code::not_found, "no objects under {}", channel.s3_uri);
  }
  for (const std::string& warning : plan.warnings) context.say("WARNING: " + warning);
  Meter meter(context, fmt::format("Downloading input data, channel {}", channel.name),
              plan.total_bytes);
  TRY(transfer::download_files(
      context.s3_access(), prefix.bucket, plan, context.ml / "input/data" / channel.name,
      [&](uint64_t bytes) { meter.add(bytes); }, context.stop));
  context.say(fmt::format("Channel {}: {} files, {} from {}", channel.name, plan.files.size(),
                          format_bytes(plan.total_bytes), channel.s3_uri));
  return {};
}

// A path of the script's world, on this host; nullopt when it leaves /opt/ml.
std::optional<fs::path> host_path(const Context& context, const std::string& shown) {
  fs::path normal = fs::path(shown).lexically_normal();
  std::string text = normal.string();
  constexpr std::string_view kShown = "/opt/ml/";
  if (!text.starts_with(kShown)) return std::nullopt;
  return context.ml / text.substr(kShown.size());
}

// contract.md G.7 (1)
Result<> fetch_source(const Context& context) {
  std::string source = script_of(context.assignment).submit_directory;
  if (source.empty()) return {};
  fs::path code = context.ml / "code";
  fs::path archive = context.folder / "sourcedir.tar.gz";
  if (source.starts_with("s3://")) {
    transfer::S3Client client(context.s3_access(), context.stop);
    TRY(client.download(TRY(S3Uri::parse(source)), archive));
    return transfer::unpack(archive, code);
  }
  auto local = host_path(context, source);
  if (!local) {
    return fail(Code::invalid, "sagemaker_submit_directory '{}' is neither s3:// nor below /opt/ml",
                source);
  }
  std::error_code error;
  if (fs::is_directory(*local, error)) {
    fs::copy(*local, code, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
    if (error) return fail_errno(error.value(), "copying " + source);
    return {};
  }
  return transfer::unpack(*local, code);
}

}  // namespace

Result<> restore_checkpoints(Context& context) {
  if (!context.assignment.checkpoint) return {};
  context.checkpoints = std::make_shared<Checkpoints>(context);
  auto restored = context.checkpoints->restore();
  if (restored || restored.error().code == Code::cancelled) return restored;
  if (restored.error().message.starts_with("ClientError")) return restored;
  return client_error("Checkpoint download failed:" + restored.error().message);
}

Result<> take_over_checkpoints(Context& context) {
  if (!context.assignment.checkpoint) return {};
  context.checkpoints = std::make_shared<Checkpoints>(context);
  return context.checkpoints->take_over();
}

Result<> download(Context& context) {
  for (const Channel& channel : context.assignment.channels) {
    if (auto done = download_channel(context, channel); !done) return download_failed(done.error());
  }
  auto fetched = fetch_source(context);
  if (fetched || fetched.error().code == Code::cancelled) return fetched;
  return client_error("Source download failed:" + fetched.error().message);
}

}  // namespace trainyard::agent
