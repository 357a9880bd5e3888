// SPDX-License-Identifier: Apache-2.0
#include "agent/feeds.hpp"

#include <condition_variable>
#include <mutex>

#include "agent/channel_folder.hpp"
#include "agent/stages.hpp"
#include "base/log.hpp"
#include "hydrate/hydrate.hpp"
#include "pipe/pipe.hpp"

namespace trainyard::agent {

namespace {

Error download_error(const std::string& text) {
  return client_error("Data download failed:" + text).value();
}

std::optional<Error> lost(const Channel& channel) {
  return Error{
      Code::internal,
      fmt::format("the process that feeds channel {} was lost: somebody or the kernel killed it "
                  "(see dmesg for memory); a RetryStrategy lets the job begin again",
                  channel.name)};
}

std::optional<Error> error_of(const Channel& channel, const fs::path& state) {
  std::error_code error;
  if (channel.input_mode == InputMode::pipe) {
    if (auto text = pipe::first_error(state)) return download_error(*text);
    return pipe::find(state) ? std::nullopt : lost(channel);
  }
  bool is_lazy = channel.input_mode == InputMode::fast_file && fs::exists(state, error);
  return is_lazy && !hydrate::find(state) ? lost(channel) : std::nullopt;
}

// There is nothing to say of feeds any more: the script has ended before they did.
fs::path ended_file(const Context& context) {
  return context.folder / "feeds.ended";
}

}  // namespace

std::optional<Error> feed_error(const Context& context) {
  std::error_code ignored;
  if (fs::exists(ended_file(context), ignored)) return std::nullopt;
  if (auto error = network_error(context)) return error;
  for (const Channel& channel : context.assignment.channels) {
    auto error = error_of(channel, ChannelFolder(context, channel.name).feed());
    if (error) return error;
  }
  return std::nullopt;
}

std::optional<Error> read_error(const Context& context) {
  for (const Channel& channel : context.assignment.channels) {
    auto error = hydrate::first_error(ChannelFolder(context, channel.name).feed());
    if (error) return download_error(error->text());
  }
  return std::nullopt;
}

Result<> outlive_feeds(const Context& context) {
  return write_file_atomically(ended_file(context), "", 0600);
}

void stop_feeds(const fs::path& instance_folder) {
  std::error_code error;
  for (const auto& channel : fs::directory_iterator(instance_folder / "channels", error)) {
    fs::path state = channel.path() / "feed";
    if (!fs::exists(state, error)) continue;
    pipe::stop(state);
    auto stopped = hydrate::stop(state);
    if (!stopped) log::warn("a feed does not end", {{"why", stopped.error().message}});
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
