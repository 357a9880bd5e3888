// SPDX-License-Identifier: Apache-2.0
#include "agent/evidence.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>

#include <chrono>

#include "agent/channel_folder.hpp"
#include "agent/runner.hpp"
#include "base/text.hpp"
#include "launch/rank_tags.hpp"
#include "transfer/channel_plan.hpp"
#include "transfer/tfrecord.hpp"

namespace trainyard::agent {

namespace {

// The last 512 KiB that the script printed.
std::string output_tail(const Context& context) {
  constexpr uint64_t kTail = 512 << 10;
  std::error_code error;
  uint64_t size = fs::file_size(context.log_file(), error);
  auto begin = static_cast<uint64_t>(context.journal.script_offset());
  if (size > begin + kTail) begin = size - kTail;
  std::string text(size > begin ? size - begin : 0, '\0');
  auto file = open_file(context.log_file(), O_RDONLY);
  auto count = file ? read_at(file->get(), text, begin) : Result<size_t>(0);
  text.resize(count.value_or(0));
  return text;
}

std::optional<uint64_t> free_bytes(const Context& context) {
  struct statvfs info {};
  if (::statvfs(context.folder.c_str(), &info) != 0) return std::nullopt;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

// The object that became this file; where the listing fails, the file's path.
std::string source_of(const Context& context, const Channel& channel, const std::string& path) {
  std::string shown = context.shown_ml + "/input/data/" + channel.name + "/" + path;
  auto prefix = S3Uri::parse(channel.s3_uri);
  if (!prefix) return shown;
  transfer::S3Client client(context.s3_access(prefix->bucket));
  auto objects = client.list(*prefix);
  if (!objects) return shown;
  auto plan = transfer::plan_channel(*prefix, *objects);
  if (!plan) return shown;
  for (const transfer::PlannedFile& file : plan->files) {
    if (file.path == path) return S3Uri{prefix->bucket, file.key}.text();
  }
  return shown;
}

// TensorFlow counts to the record's first byte, or to the first one of its data.
bool is_at(const transfer::BrokenRecord& record, const DataLoss& loss) {
  constexpr uint64_t kHeaderBytes = 12;
  return !loss.offset || loss.offset == record.offset ||
         loss.offset == record.offset + kHeaderBytes;
}

using Steady = std::chrono::steady_clock;

std::string find_broken_in(const Context& context, const Channel& channel, const DataLoss& loss,
                           Steady::time_point deadline) {
  ChannelFolder folder(context, channel.name);
  auto root = folder.is_shown_from_view()
                  ? Result<fs::path>(folder.view())
                  : path_without_links(context.ml / "input/data", channel.name);
  if (!root) return "";
  std::error_code error;
  for (fs::recursive_directory_iterator entry(*root, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!fs::is_regular_file(entry->symlink_status())) continue;
    if (Steady::now() > deadline) return "";
    auto broken = transfer::find_broken_record(entry->path());
    if (!broken || !*broken || !is_at(**broken, loss)) continue;
    std::string path = entry->path().lexically_relative(*root);
    return fmt::format("{}: record {}, at byte {}: {}", source_of(context, channel, path),
                       (*broken)->index, (*broken)->offset, (*broken)->what);
  }
  return "";
}

std::string find_broken_record(const Context& context, std::string_view output) {
  auto loss = find_data_loss(output);
  if (!loss) return "";
  // A diagnosis is worth a moment, and not the reading of a lake.
  auto deadline = Steady::now() + std::chrono::seconds(30);
  for (const Channel& channel : context.assignment.channels) {
    std::string found = find_broken_in(context, channel, *loss, deadline);
    if (!found.empty()) return found;
  }
  return "";
}

}  // namespace

Evidence gather_evidence(const Context& context, int exit_code) {
  Evidence evidence;
  evidence.exit_code = exit_code;
  evidence.output = launch::without_tags(output_tail(context));
  evidence.memory = context.runner->memory_evidence(context);
  evidence.free_bytes = free_bytes(context);
  for (const Channel& channel : context.assignment.channels) {
    evidence.channels.push_back(channel.name);
  }
  evidence.broken_record = find_broken_record(context, evidence.output);
  return evidence;
}

}  // namespace trainyard::agent
