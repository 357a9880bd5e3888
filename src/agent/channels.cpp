// SPDX-License-Identifier: Apache-2.0
// The input channels: which objects they are, and how their files come to the script.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/channel_folder.hpp"
#include "agent/meter.hpp"
#include "agent/stages.hpp"
#include "base/text.hpp"
#include "transfer/downloader.hpp"

namespace trainyard::agent {

namespace {

// Channels that SDK v3 runs in place, with chmod on them: contract.md F.3.
bool is_run_in_place(const Channel& channel) {
  return channel.name == "code" || channel.name == "sm_drivers";
}

uint32_t owner_of(const Context& context) {
  return ::geteuid() == 0 ? sandbox::user_id_for(context.assignment.job_name) : 0;
}

Result<transfer::ChannelPlan> plan_channel(const Context& context, const Channel& channel) {
  S3Uri prefix = TRY(S3Uri::parse(channel.s3_uri));
  transfer::S3Client client(context.s3_access(prefix.bucket), context.stop);
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
  return plan;
}

// A link to the object's own file of the store; false where that lies on no file system of ours,
// or was replaced a moment ago.
bool link_object(const transfer::PlannedFile& file, const fs::path& target) {
  struct stat info {};
  if (file.file.empty() || ::link(file.file.c_str(), target.c_str()) != 0) return false;
  bool is_it = ::stat(target.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
               static_cast<uint64_t>(info.st_size) == file.size;
  // The job's user reads it, too; nobody else gets to the folders above.
  constexpr mode_t kReadable = 0644;
  bool is_readable = (info.st_mode & 0777) == kReadable || ::chmod(target.c_str(), kReadable) == 0;
  if (is_it && is_readable) return true;
  ::unlink(target.c_str());
  return false;
}

// Links what lies on this host already; returns what has to be moved here.
Result<transfer::ChannelPlan> link_objects(const transfer::ChannelPlan& plan,
                                           const fs::path& view) {
  transfer::ChannelPlan missing;
  fs::path last_parent;
  for (const transfer::PlannedFile& file : plan.files) {
    fs::path target = view / file.path;
    if (target.parent_path() != last_parent) {
      last_parent = target.parent_path();
      TRY(make_directories(last_parent));
    }
    if (link_object(file, target)) continue;
    missing.files.push_back(file);
    missing.total_bytes += file.size;
  }
  return missing;
}

Result<> show(const Context& context, const Channel& channel, ChannelFolder& folder) {
  bool has_walls = context.isolation == sandbox::Isolation::sandbox;
  if (!has_walls || is_run_in_place(channel)) return folder.copy_to_ml(context.stop);
  if (channel.input_mode == InputMode::fast_file) return {};
  auto can = sandbox::probe_overlay(context.folder, owner_of(context));
  if (can) return folder.make_writable(owner_of(context));
  context.say(fmt::format("Note: channel {} is copied: no overlay here ({})", channel.name,
                          can.error().message));
  return folder.copy_to_ml(context.stop);
}

Result<> provide(const Context& context, const Channel& channel) {
  auto plan = TRY(plan_channel(context, channel));
  for (const std::string& warning : plan.warnings) context.say("WARNING: " + warning);
  ChannelFolder folder(context, channel.name);
  TRY(make_directories(folder.view()));
  auto missing = TRY(link_objects(plan, folder.view()));
  Meter meter(context, fmt::format("Downloading input data, channel {}", channel.name),
              missing.total_bytes);
  S3Uri prefix = TRY(S3Uri::parse(channel.s3_uri));
  TRY(transfer::download_files(
      context.s3_access(prefix.bucket), prefix.bucket, missing, folder.view(),
      [&](uint64_t bytes) { meter.add(bytes); }, context.stop));
  TRY(show(context, channel, folder));
  std::string how = missing.files.empty() && folder.is_shown_from_view()
                        ? "in place, no byte moved"
                        : format_bytes(missing.total_bytes) + " downloaded";
  context.say(fmt::format("Channel {}: {} files, {} from {} ({})", channel.name, plan.files.size(),
                          format_bytes(plan.total_bytes), channel.s3_uri, how));
  return {};
}

}  // namespace

Result<> provide_channels(const Context& context) {
  for (const Channel& channel : context.assignment.channels) {
    auto done = provide(context, channel);
    if (done) continue;
    if (done.error().code == Code::cancelled) return done;
    return client_error("Data download failed:" + done.error().message);
  }
  return {};
}

}  // namespace trainyard::agent
