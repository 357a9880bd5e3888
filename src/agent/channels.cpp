// SPDX-License-Identifier: Apache-2.0
// The input channels: which objects they are, and how their files come to the script.
#include "agent/channel_folder.hpp"
#include "agent/channel_objects.hpp"
#include "agent/feeds.hpp"
#include "agent/meter.hpp"
#include "agent/stages.hpp"
#include "base/text.hpp"
#include "transfer/host_cache.hpp"

namespace trainyard::agent {

namespace {

// Channels that SDK v3 runs in place, with chmod on them: contract.md F.3.
bool is_run_in_place(const Channel& channel) {
  return channel.name == "code" || channel.name == "sm_drivers";
}

// Links the store's own files; returns what has to come from elsewhere.
Result<std::vector<transfer::Fetch>> link_objects(const ChannelObjects& objects,
                                                  const fs::path& view) {
  std::vector<transfer::Fetch> missing;
  fs::path last_parent;
  for (const transfer::PlannedFile& file : objects.plan.files) {
    fs::path target = view / file.path;
    if (target.parent_path() != last_parent) {
      last_parent = target.parent_path();
      TRY(make_directories(last_parent));
    }
    if (link_object({file.key, file.size, file.etag, file.file}, target)) continue;
    missing.push_back({{objects.bucket, file.key}, file.size, file.etag, target});
  }
  return missing;
}

uint64_t bytes_of(const std::vector<transfer::Fetch>& fetches) {
  uint64_t bytes = 0;
  for (const transfer::Fetch& fetch : fetches) bytes += fetch.size;
  return bytes;
}

// What is in the cache was downloaded for another job, perhaps with other rights: one byte of one
// object shows whether this job may read, as listing has shown that it may list.
Result<> check_permission(const Context& context, const transfer::S3Access& access,
                          const transfer::Fetch& object) {
  if (object.size == 0) return {};
  transfer::S3Client client(access, context.stop);
  return client.read_range(object.object, object.etag, 0, 1,
                           [](std::string_view) { return Result<>(); });
}

struct Moved {
  uint64_t downloaded = 0;
  uint64_t cached = 0;  // bytes that the host's cache had
};

// Puts the objects at their paths, from the host's cache or over the network.
Result<Moved> bring(const Context& context, const Channel& channel,
                    const transfer::S3Access& access, const std::vector<transfer::Fetch>& wanted) {
  const protocol::HostSettings& host = context.assignment.host_settings;
  bool has_cache = !host.cache_dir.empty();
  auto limit = has_cache ? static_cast<uint64_t>(host.cache_limit_bytes) : 0;
  transfer::HostCache cache(host.cache_dir, limit);
  auto missing = TRY(cache.link(access, wanted));
  if (missing.empty() && !wanted.empty()) TRY(check_permission(context, access, wanted.front()));
  Moved moved;
  moved.downloaded = bytes_of(missing);
  moved.cached = bytes_of(wanted) - moved.downloaded;
  Meter meter(context, fmt::format("Downloading input data, channel {}", channel.name),
              moved.downloaded);
  transfer::FetchOptions options;
  options.on_bytes = [&](uint64_t bytes) { meter.add(bytes); };
  options.what = "channel " + channel.name;
  TRY(cache.fetch(access, missing, options, context.stop));
  return moved;
}

Result<> show(const Context& context, const Channel& channel, ChannelFolder& folder) {
  bool has_walls = context.isolation == sandbox::Isolation::sandbox;
  if (!has_walls || is_run_in_place(channel)) return folder.copy_to_ml(context.stop);
  if (channel.input_mode == InputMode::fast_file) return {};
  auto can = sandbox::probe_overlay(context.folder, context.job_user());
  if (can) return folder.make_writable(context.job_user());
  context.say(fmt::format("Note: channel {} is copied: no overlay here ({})", channel.name,
                          can.error().message));
  return folder.copy_to_ml(context.stop);
}

Result<> provide_files(const Context& context, const Channel& channel) {
  auto objects = TRY(find_objects(context, channel, true));
  const transfer::ChannelPlan& plan = objects.plan;
  for (const std::string& warning : plan.warnings) context.say("WARNING: " + warning);
  ChannelFolder folder(context, channel.name);
  TRY(make_directories(folder.view()));
  auto missing = TRY(link_objects(objects, folder.view()));
  Moved moved = TRY(bring(context, channel, objects.access, missing));
  TRY(show(context, channel, folder));
  std::string how = "in place, no byte moved";
  if (moved.downloaded > 0 || !folder.is_shown_from_view()) {
    how = format_bytes(moved.downloaded) + " downloaded";
  }
  if (moved.cached > 0) how += ", " + format_bytes(moved.cached) + " from this host's cache";
  context.say(fmt::format("Channel {}: {} files, {} from {} ({})", channel.name, plan.files.size(),
                          format_bytes(plan.total_bytes), channel.s3_uri, how));
  return {};
}

Result<> provide(const Context& context, const Channel& channel) {
  bool is_pipe = channel.input_mode == InputMode::pipe;
  return is_pipe ? start_pipe(context, channel) : provide_files(context, channel);
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
