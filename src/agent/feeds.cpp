// SPDX-License-Identifier: Apache-2.0
#include "agent/feeds.hpp"

#include <condition_variable>
#include <mutex>

#include "agent/channel_folder.hpp"
#include "pipe/pipe.hpp"

namespace trainyard::agent {

namespace {

std::optional<Error> pipe_error(const Context& context, const Channel& channel) {
  fs::path state = ChannelFolder(context, channel.name).feed();
  auto error = pipe::first_error(state);
  if (error) return client_error("Data download failed:" + *error).value();
  if (pipe::find(state)) return std::nullopt;
  return Error{Code::internal,
               fmt::format("the process that feeds channel {} was lost", channel.name)};
}

}  // namespace

std::optional<Error> feed_error(const Context& context) {
  for (const Channel& channel : context.assignment.channels) {
    if (channel.input_mode != InputMode::pipe) continue;
    if (auto error = pipe_error(context, channel)) return error;
  }
  return std::nullopt;
}

void stop_feeds(const Context& context) {
  for (const Channel& channel : context.assignment.channels) {
    if (channel.input_mode != InputMode::pipe) continue;
    pipe::stop(ChannelFolder(context, channel.name).feed());
  }
}

FeedWatch::FeedWatch(const Context& context)
    : thread_([this, &context](const std::stop_token& stop) {
        constexpr std::chrono::milliseconds kInterval{200};
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        while (!stop.stop_requested() && !feed_error(context)) {
          never.wait_for(lock, stop, kInterval, [] { return false; });
        }
        if (!stop.stop_requested()) failed_.request_stop();
      }) {}

}  // namespace trainyard::agent
