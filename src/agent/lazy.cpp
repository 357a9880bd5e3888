// SPDX-License-Identifier: Apache-2.0
// FastFile channels whose bytes are not on this host: files that come on first read (hydrate/).
#include "agent/channel_folder.hpp"
#include "agent/feeds.hpp"
#include "base/text.hpp"
#include "hydrate/hydrate.hpp"

namespace trainyard::agent {

Result<> start_lazy(const Context& context, const Channel& channel, const ChannelObjects& objects) {
  ChannelFolder folder(context, channel.name);
  TRY(remove_tree(folder.view()));
  TRY(make_directories(folder.feed(), 0700));
  hydrate::HydratePlan plan;
  plan.access = objects.access;
  for (const transfer::PlannedFile& file : objects.plan.files) {
    plan.files.push_back({file.path, {objects.bucket, file.key}, file.etag, file.size});
  }
  plan.tree = folder.view();
  plan.state = folder.feed();
  auto started = hydrate::start(context.program, plan, context.stop);
  if (!started) {
    TRY(remove_tree(folder.feed()));
    TRY(remove_tree(folder.view()));
    return Failure(std::move(started).error());
  }
  std::string note = started->note.empty() ? "" : "; " + started->note;
  context.say(fmt::format("Channel {}: {} files, {} from {}, each byte on first read ({}{})",
                          channel.name, plan.files.size(), format_bytes(objects.plan.total_bytes),
                          channel.s3_uri, started->tier, note));
  return {};
}

}  // namespace trainyard::agent
