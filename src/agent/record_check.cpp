// SPDX-License-Identifier: Apache-2.0
#include "agent/record_check.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "agent/channel_folder.hpp"
#include "agent/child.hpp"
#include "base/text.hpp"
#include "transfer/record_check.hpp"

namespace trainyard::agent {

namespace {

using protocol::RecordPolicy;

constexpr size_t kMostTold = 20;  // of one kind, per channel

void say_findings(const Context& context, const transfer::CheckedFiles& checked) {
  size_t told = 0;
  for (const transfer::CheckedFile& file : checked.broken) {
    if (++told > kMostTold) break;
    context.say("WARNING: broken TFRecord: " + transfer::broken_text(file));
  }
  if (checked.broken.size() > kMostTold) {
    context.say(fmt::format("WARNING: {} more files have broken TFRecords",
                            checked.broken.size() - kMostTold));
  }
  told = 0;
  for (const transfer::CheckedFile& file : checked.misnamed) {
    if (++told > kMostTold) break;
    context.say(fmt::format("Note: {} is no TFRecord file, whatever its name: {}", file.name,
                            file.verdict.why_not));
  }
  if (!checked.unreadable.empty()) {
    const transfer::UncheckedFile& first = checked.unreadable.front();
    context.say(fmt::format("WARNING: {} files could not be looked at for TFRecords; {}: {}",
                            checked.unreadable.size(), first.name, first.error.message));
  }
}

RecordPolicy policy_of(const Context& context) {
  const protocol::Assignment& job = context.assignment;
  return job.record_policy.value_or(job.host_settings.record_policy);
}

size_t thread_count() {
  return static_cast<size_t>(std::clamp(cpu_count(), 1, 8));
}

// Leaves the broken files out of what the script will see.
Result<> leave_out(const Context& context, const std::vector<transfer::NamedFile>& files,
                   const std::vector<transfer::CheckedFile>& broken) {
  std::set<std::string_view> names;
  for (const transfer::CheckedFile& file : broken) names.insert(file.name);
  for (const transfer::NamedFile& file : files) {
    if (names.count(file.name) == 0) continue;
    if (::unlink(file.file.c_str()) != 0) return fail_errno(errno, "leaving out " + file.name);
  }
  if (!broken.empty()) {
    context.say(
        fmt::format("{} files with broken TFRecords are left out, as the job's tag "
                    "trainyard:records, or broken-records of the service, asks for",
                    broken.size()));
  }
  return {};
}

}  // namespace

Result<> check_records(Context& context, const Channel& channel, const ChannelObjects& objects,
                       bool will_view_stay) {
  constexpr uint64_t kMomentBytes = 512 << 20;
  RecordPolicy policy = policy_of(context);
  if (policy == RecordPolicy::ignore) return {};
  fs::path view = ChannelFolder(context, channel.name).view();
  std::vector<transfer::NamedFile> files;
  for (const transfer::PlannedFile& file : objects.plan.files) {
    files.push_back({view / file.path, S3Uri{objects.bucket, file.key}.text()});
  }
  // A copy is the script's to change, and reads all bytes anyway: what is to be known of them has
  // to be known before.
  bool can_wait = policy == RecordPolicy::report && will_view_stay;
  uint64_t budget = can_wait ? kMomentBytes : UINT64_MAX;
  auto checked = transfer::check_files(files, budget, thread_count(), context.stop);
  if (context.stop.stop_requested()) return fail(Code::cancelled, "stopped");
  say_findings(context, checked);
  if (policy == RecordPolicy::fail && !checked.broken.empty()) {
    return fail(Code::invalid, "broken TFRecord: {}", transfer::broken_text(checked.broken[0]));
  }
  if (policy == RecordPolicy::skip_object) TRY(leave_out(context, files, checked.broken));
  if (checked.tfrecord_files > 0) {
    context.say(fmt::format("Channel {}: {} records in {} TFRecord files{}", channel.name,
                            checked.records, checked.tfrecord_files,
                            checked.left.empty() ? "" : "; the others are looked at meanwhile"));
  }
  auto& unchecked = context.unchecked_records;
  unchecked.insert(unchecked.end(), checked.left.begin(), checked.left.end());
  return {};
}

void say_unchecked(const Context& context, const Channel& channel) {
  RecordPolicy policy = policy_of(context);
  if (policy != RecordPolicy::fail && policy != RecordPolicy::skip_object) return;
  context.say(
      fmt::format("Note: channel {}: its bytes come while the script runs, so nobody looks "
                  "for broken TFRecords before: trainyard:records = {} has no effect",
                  channel.name, protocol::name(policy)));
}

RecordPatrol::RecordPatrol(const Context& context)
    : thread_([&context](const std::stop_token& stop) {
        const auto& files = context.unchecked_records;
        if (files.empty()) return;
        auto checked = transfer::check_files(files, UINT64_MAX, 1, stop);
        say_findings(context, checked);
      }) {}

}  // namespace trainyard::agent
