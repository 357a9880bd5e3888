// SPDX-License-Identifier: Apache-2.0
// The input channels: which objects they are, and how their files come to the script.
#include <algorithm>

#include "agent/channel_folder.hpp"
#include "agent/channel_objects.hpp"
#include "agent/feeds.hpp"
#include "agent/meter.hpp"
#include "agent/record_check.hpp"
#include "agent/stages.hpp"
#include "base/text.hpp"
#include "transfer/host_cache.hpp"
#include "transfer/record_watch.hpp"

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
                          const std::vector<transfer::Fetch>& cached) {
  auto object = std::find_if(cached.begin(), cached.end(),
                             [](const transfer::Fetch& one) { return one.size > 0; });
  if (object == cached.end()) return {};
  transfer::S3Client client(access, context.stop);
  return client.read_range(object->object, object->etag, 0, 1,
                           [](std::string_view) { return Result<>(); });
}

transfer::HostCache cache_of(const Context& context) {
  const protocol::HostSettings& host = context.assignment.host_settings;
  auto limit = host.cache_dir.empty() ? 0 : static_cast<uint64_t>(host.cache_limit_bytes);
  return {host.cache_dir, limit};
}

Result<> fetch(const Context& context, const Channel& channel, const transfer::S3Access& access,
               const std::vector<transfer::Fetch>& missing) {
  Meter meter(context, fmt::format("Downloading input data, channel {}", channel.name),
              bytes_of(missing));
  transfer::RecordWatch records;
  transfer::FetchOptions options;
  options.on_bytes = [&](uint64_t bytes) { meter.add(bytes); };
  options.observe = [&](const transfer::Fetch& fetch) { return records.observe(fetch); };
  options.on_file = [&](const transfer::Fetch& fetch) { records.keep(fetch); };
  options.what = "channel " + channel.name;
  return cache_of(context).fetch(access, missing, options, context.stop);
}

// Whether the script will see the view itself; else it gets a copy.
bool can_show_view(const Context& context, const Channel& channel) {
  bool has_walls = context.isolation == sandbox::Isolation::sandbox;
  if (!has_walls || is_run_in_place(channel)) return false;
  if (channel.input_mode == InputMode::fast_file) return true;
  auto can = sandbox::probe_overlay(context.folder, context.job_user());
  if (can) return true;
  context.say(fmt::format("Note: channel {} is copied: no overlay here ({})", channel.name,
                          can.error().message));
  return false;
}

Result<> show(const Context& context, const Channel& channel, ChannelFolder& folder,
              bool is_view_shown) {
  if (!is_view_shown) return folder.copy_to_ml(context.stop);
  bool is_read_only = channel.input_mode == InputMode::fast_file;
  return is_read_only ? Result<>() : folder.make_writable(context.job_user());
}

bool may_be_lazy(const Context& context, const Channel& channel) {
  return channel.input_mode == InputMode::fast_file &&
         context.isolation == sandbox::Isolation::sandbox;
}

// Replaces the view by one whose bytes come on first read; false, and no view, where this host
// cannot and they have to be downloaded.
Result<bool> provide_lazily(const Context& context, const Channel& channel,
                            const ChannelObjects& objects) {
  auto started = start_lazy(context, channel, objects);
  if (started) return true;
  Code code = started.error().code;
  if (code != Code::unavailable && code != Code::exhausted) return Failure(started.error());
  context.say(fmt::format("Note: channel {} is downloaded before the start: {}", channel.name,
                          started.error().message));
  return false;
}

std::string how_it_came(uint64_t downloaded, uint64_t cached, bool is_in_place) {
  std::string how = downloaded == 0 && is_in_place ? "in place, no byte moved"
                                                   : format_bytes(downloaded) + " downloaded";
  return cached == 0 ? how : how + ", " + format_bytes(cached) + " from this host's cache";
}

// What this host has is linked into the view.
struct Wanted {
  std::vector<transfer::Fetch> elsewhere;  // not a file of this host's store
  std::vector<transfer::Fetch> missing;    // nor in the host's cache
};

Result<Wanted> link_what_is_here(const Context& context, const ChannelObjects& objects,
                                 const fs::path& view) {
  TRY(make_directories(view));
  Wanted wanted;
  wanted.elsewhere = TRY(link_objects(objects, view));
  wanted.missing = TRY(cache_of(context).link(objects.access, wanted.elsewhere));
  if (wanted.missing.empty() && !wanted.elsewhere.empty()) {
    TRY(check_permission(context, objects.access, wanted.elsewhere));
  }
  return wanted;
}

Result<> provide_files(Context& context, const Channel& channel) {
  auto objects = TRY(find_objects(context, channel, true));
  const transfer::ChannelPlan& plan = objects.plan;
  for (const std::string& warning : plan.warnings) context.say("WARNING: " + warning);
  ChannelFolder folder(context, channel.name);
  Wanted wanted = TRY(link_what_is_here(context, objects, folder.view()));
  if (!wanted.missing.empty() && may_be_lazy(context, channel)) {
    if (TRY(provide_lazily(context, channel, objects))) {
      say_unchecked(context, channel);
      return {};
    }
    wanted = TRY(link_what_is_here(context, objects, folder.view()));
  }
  TRY(fetch(context, channel, objects.access, wanted.missing));
  bool is_view_shown = can_show_view(context, channel);
  TRY(check_records(context, channel, objects, is_view_shown));
  TRY(show(context, channel, folder, is_view_shown));
  uint64_t downloaded = bytes_of(wanted.missing);
  uint64_t cached = bytes_of(wanted.elsewhere) - downloaded;
  context.say(fmt::format("Channel {}: {} files, {} from {} ({})", channel.name, plan.files.size(),
                          format_bytes(plan.total_bytes), channel.s3_uri,
                          how_it_came(downloaded, cached, folder.is_shown_from_view())));
  return {};
}

Result<> provide(Context& context, const Channel& channel) {
  if (channel.input_mode != InputMode::pipe) return provide_files(context, channel);
  say_unchecked(context, channel);
  return start_pipe(context, channel);
}

}  // namespace

Result<> provide_channels(Context& context) {
  for (const Channel& channel : context.assignment.channels) {
    auto done = provide(context, channel);
    if (done) continue;
    if (done.error().code == Code::cancelled) return done;
    return client_error("Data download failed:" + done.error().message);
  }
  return {};
}

}  // namespace trainyard::agent
