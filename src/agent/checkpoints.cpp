// SPDX-License-Identifier: Apache-2.0
#include "agent/checkpoints.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>

#include "agent/checkpoint_files.hpp"
#include "base/text.hpp"
#include "transfer/channel_plan.hpp"
#include "transfer/fetch.hpp"

namespace trainyard::agent {

namespace {

constexpr std::chrono::seconds kInterval{1};

// What the walls can show beside /opt/ml.
Result<> check_local_path(const Context& context) {
  constexpr std::array<std::string_view, 9> kTaken = {"/bin",  "/dev",  "/etc", "/lib", "/lib64",
                                                      "/proc", "/sbin", "/sys", "/usr"};
  std::string path = Checkpoints::shown_path(context);
  bool is_taken = path == "/" || path == "/opt" || path == "/opt/ml" || path == "/tmp" ||
                  std::any_of(kTaken.begin(), kTaken.end(), [&](std::string_view taken) {
                    return path == taken || path.starts_with(std::string(taken) + "/");
                  });
  bool needs_walls = !path.starts_with("/opt/ml/");
  if (is_taken || (needs_walls && context.isolation != sandbox::Isolation::sandbox)) {
    return client_error(fmt::format(
        "CheckpointConfig.LocalPath '{}' cannot be shown to the script; use a folder below /opt/ml",
        context.assignment.checkpoint->local_path));
  }
  return {};
}

}  // namespace

std::string Checkpoints::shown_path(const Context& context) {
  std::string path = fs::path(context.assignment.checkpoint->local_path).lexically_normal();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

fs::path Checkpoints::folder_of(const Context& context) {
  constexpr std::string_view kMl = "/opt/ml/";
  std::string path = shown_path(context);
  return path.starts_with(kMl) ? context.ml / path.substr(kMl.size())
                               : context.folder / "checkpoints";
}

// An URI that cannot be parsed is refused by set_target().
static std::string bucket_of(const Context& context) {
  return S3Uri::parse(context.assignment.checkpoint->s3_uri).value_or(S3Uri{}).bucket;
}

Checkpoints::Checkpoints(const Context& context)
    : context_(context),
      folder_(folder_of(context)),
      client_(context.s3_access(bucket_of(context))) {}

S3Uri Checkpoints::object_of(const std::string& path) const {
  return target_.join(path);
}

Result<> Checkpoints::set_target() {
  target_ = TRY(S3Uri::parse(context_.assignment.checkpoint->s3_uri));
  // As a folder, so that "s3://b/run" does not bring "s3://b/run-2/…" with it.
  if (!target_.key.empty() && !target_.key.ends_with('/')) target_.key += '/';
  return {};
}

Result<> Checkpoints::take_over() {
  TRY(set_target());
  auto objects = TRY(client_.list(target_));
  auto plan = TRY(transfer::plan_channel(target_, objects));
  fs::path copy = context_.folder / "checkpoint-copy";
  for (const transfer::PlannedFile& file : plan.files) {
    if (is_head(file.path)) {
      TRY(client_.download({target_.bucket, file.key}, copy));
      uploaded_heads_[file.path] = TRY(read_file(copy));
    } else {
      uploaded_[file.path] = FileState();  // unlike any file: it goes up again
    }
  }
  return {};
}

Result<> Checkpoints::restore() {
  TRY(check_local_path(context_));
  TRY(set_target());
  transfer::S3Client client(context_.s3_access(target_.bucket), context_.stop);
  auto listed = client.list(target_);
  if (!listed && listed.error().code == Code::not_found) {
    return client_error("CheckpointConfig.S3Uri: " + listed.error().message +
                        ". Make the bucket first, for example: aws s3 mb s3://" + target_.bucket);
  }
  if (!listed) return Failure(listed.error());
  auto plan = TRY(transfer::plan_channel(target_, *listed));
  // A killed agent may have restored a part: the next one begins again.
  if (!plan.files.empty()) {
    context_.say(fmt::format("Restoring {} checkpoint files, {}, from {}", plan.files.size(),
                             format_bytes(plan.total_bytes), target_.text()));
  }
  TRY(make_directories(folder_));
  std::vector<transfer::Fetch> fetches;
  for (const transfer::PlannedFile& file : plan.files) {
    fetches.push_back({{target_.bucket, file.key}, file.size, file.etag, folder_ / file.path});
  }
  transfer::FetchOptions options;
  options.what = "the checkpoint";
  TRY(transfer::fetch_all(context_.s3_access(target_.bucket), fetches, options, context_.stop));
  return remember_restored();
}

// What was restored is in S3.
Result<> Checkpoints::remember_restored() {
  auto found = TRY(look_at(folder_));
  before_ = uploaded_ = std::move(found.files);
  uploaded_heads_ = std::move(found.heads);
  return {};
}

void Checkpoints::start() {
  thread_ = std::jthread([this](std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    while (!stop.stop_requested()) {
      std::unique_lock lock(mutex);
      never.wait_for(lock, stop, kInterval, [] { return false; });
      if (stop.stop_requested()) return;
      auto done = sync(Moment::running);
      std::string error = done ? "" : done.error().message;
      if (!error.empty() && error != last_error_) {
        context_.say("WARNING: checkpoints are not synced at the moment: " + error);
      }
      last_error_ = error;
    }
  });
}

Result<> Checkpoints::finish(Moment moment) {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  return sync(moment);
}

Result<> Checkpoints::sync(Moment moment) {
  auto found = TRY(look_at(folder_));
  SyncState state;
  state.moment = moment;
  state.local = std::move(found.files);
  state.before = std::move(before_);
  state.uploaded = uploaded_;
  state.open_for_writing = std::move(found.open_for_writing);
  state.heads = std::move(found.heads);
  state.uploaded_heads = uploaded_heads_;
  SyncPlan plan = plan_sync(state);
  before_ = state.local;
  // Unchanged means little while somebody may write on.
  for (const std::string& path : state.open_for_writing) before_.erase(path);
  for (const std::string& path : plan.unsure) {
    context_.say(
        fmt::format("WARNING: checkpoint file {} was being written when the script was "
                    "killed: it is not uploaded",
                    path));
  }
  return carry_out(plan, state);
}

Result<> Checkpoints::carry_out(const SyncPlan& plan, const SyncState& state) {
  fs::path copy = context_.folder / "checkpoint-copy";
  for (const std::string& path : plan.uploads) {
    const FileState& file = state.local.at(path);
    // One that changes under our hands goes with a later round, and all that describes it too.
    if (!TRY(copy_unchanged(folder_, path, file, copy))) return {};
    TRY(client_.upload(copy, object_of(path)));
    uploaded_[path] = file;
  }
  for (const std::string& path : plan.heads) {
    TRY(client_.upload_bytes(state.heads.at(path), object_of(path)));
    uploaded_heads_[path] = state.heads.at(path);
  }
  for (const std::string& path : plan.deletes) {
    TRY(client_.remove(object_of(path)));
    uploaded_.erase(path);
    uploaded_heads_.erase(path);
  }
  std::error_code ignored;
  fs::remove(copy, ignored);
  return {};
}

}  // namespace trainyard::agent
