// SPDX-License-Identifier: Apache-2.0
#include "agent/channel_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace trainyard::agent {

namespace {

// Within the kernel; the file systems that can share the blocks.
Result<> copy_file(const fs::path& from, const fs::path& to, const std::stop_token& stop) {
  constexpr size_t kStep = 64 << 20;  // between two looks at `stop`
  Fd source = TRY(open_file(from, O_RDONLY));
  Fd target = TRY(open_file(to, O_WRONLY | O_CREAT | O_EXCL, 0644));
  for (;;) {
    if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
    ssize_t count = ::copy_file_range(source.get(), nullptr, target.get(), nullptr, kStep, 0);
    if (count == 0) return {};
    if (count < 0 && errno != EINTR) return fail_errno(errno, "copying to " + to.string());
  }
}

}  // namespace

ChannelFolder::ChannelFolder(const Context& context, std::string channel)
    : root_(context.folder / "channels" / channel), ml_(context.ml), channel_(std::move(channel)) {}

bool ChannelFolder::is_shown_from_view() const {
  std::error_code error;
  return fs::exists(view(), error);
}

bool ChannelFolder::is_writable() const {
  std::error_code error;
  return fs::exists(root_ / "upper", error);
}

Result<> ChannelFolder::make_writable(uint32_t owner) {
  for (const char* name : {"work", "shown", "upper"}) TRY(make_directories(root_ / name));
  if (::geteuid() == 0 && ::lchown((root_ / "upper").c_str(), owner, owner) != 0) {
    return fail_errno(errno, "giving away " + root_.string());
  }
  return {};
}

sandbox::Overlay ChannelFolder::overlay(uint32_t owner) const {
  return {view(), root_ / "upper", root_ / "work", root_ / "shown", owner};
}

Result<> ChannelFolder::copy_to_ml(const std::stop_token& stop) const {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(view(), error), end; !error && entry != end;
       entry.increment(error)) {
    fs::path target = in_ml() / entry->path().lexically_relative(view());
    TRY(entry->is_directory() ? make_directories(target) : copy_file(entry->path(), target, stop));
  }
  if (error) return fail_errno(error.value(), "reading " + view().string());
  return remove_tree(root_);
}

std::optional<fs::path> host_path(const Context& context, const std::string& shown) {
  fs::path normal = fs::path(shown).lexically_normal();
  constexpr std::string_view kMl = "/opt/ml/";
  constexpr std::string_view kData = "/opt/ml/input/data/";
  std::string text = normal.string();
  if (!text.starts_with(kMl)) return std::nullopt;
  if (text.starts_with(kData)) {
    std::string below = text.substr(kData.size());
    std::string channel = below.substr(0, below.find('/'));
    fs::path rest = below.substr(std::min(channel.size() + 1, below.size()));
    if (!channel.empty()) return ChannelFolder(context, channel).files() / rest;
  }
  return context.ml / text.substr(kMl.size());
}

}  // namespace trainyard::agent
