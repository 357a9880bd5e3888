// SPDX-License-Identifier: Apache-2.0
// The input channels: which objects they are, and how their files come to the script.
#include "agent/channel_folder.hpp"
#include "agent/channel_objects.hpp"
#include "agent/feeds.hpp"
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
    if (link_object({file.key, file.size, file.etag, file.file}, target)) continue;
    missing.files.push_back(file);
    missing.total_bytes += file.size;
  }
  return missing;
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
  auto missing = TRY(link_objects(plan, folder.view()));
  Meter meter(context, fmt::format("Downloading input data, channel {}", channel.name),
              missing.total_bytes);
  TRY(transfer::download_files(
      objects.access, objects.bucket, missing, folder.view(),
      [&](uint64_t bytes) { meter.add(bytes); }, context.stop));
  TRY(show(context, channel, folder));
  std::string how = missing.files.empty() && folder.is_shown_from_view()
                        ? "in place, no byte moved"
                        : format_bytes(missing.total_bytes) + " downloaded";
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
