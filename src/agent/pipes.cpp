// SPDX-License-Identifier: Apache-2.0
// Pipe mode: what goes through a channel's FIFOs, and the process that feeds them.
#include <unistd.h>

#include <map>

#include "agent/channel_folder.hpp"
#include "agent/channel_objects.hpp"
#include "agent/feeds.hpp"
#include "base/text.hpp"
#include "pipe/augmented_manifest.hpp"
#include "pipe/pipe.hpp"

namespace trainyard::agent {

namespace {

// Keeps the objects of this host's store as they are now, under numbers.
class Links {
 public:
  explicit Links(fs::path folder) : folder_(std::move(folder)) {}

  pipe::Source source(const std::string& bucket, const transfer::ObjectSummary& object) {
    fs::path link = folder_ / std::to_string(count_);
    bool is_here = link_object(object, link);
    if (is_here) ++count_;
    total_bytes_ += object.size;
    return {{bucket, object.key}, object.size, object.etag, is_here ? link : fs::path()};
  }

  uint64_t total_bytes() const { return total_bytes_; }

 private:
  fs::path folder_;
  size_t count_ = 0;
  uint64_t total_bytes_ = 0;
};

Result<std::vector<pipe::Entry>> stream_objects(const Context& context, const Channel& channel,
                                                Links& links) {
  auto found = TRY(find_objects(context, channel, false));
  for (const std::string& warning : found.plan.warnings) context.say("WARNING: " + warning);
  std::vector<pipe::Entry> entries;
  for (const transfer::PlannedFile& file : found.plan.files) {
    transfer::ObjectSummary object{file.key, file.size, file.etag, file.file};
    entries.push_back({{"", links.source(found.bucket, object)}});
  }
  return entries;
}

// The objects that an augmented manifest names, looked up bucket by bucket.
Result<> fill_references(const Context& context, std::vector<pipe::Entry>& entries, Links& links) {
  std::map<std::string, std::vector<pipe::Piece*>> by_bucket;
  for (pipe::Entry& entry : entries) {
    for (pipe::Piece& piece : entry) {
      if (piece.object) by_bucket[piece.object->uri.bucket].push_back(&piece);
    }
  }
  for (auto& [bucket, pieces] : by_bucket) {
    std::vector<std::string> keys;
    for (const pipe::Piece* piece : pieces) keys.push_back(piece->object->uri.key);
    transfer::S3Client client(context.s3_access(bucket), context.stop);
    auto objects = TRY(look_up(client, bucket, keys));
    for (size_t i = 0; i < pieces.size(); ++i) {
      pieces[i]->object = links.source(bucket, objects[i]);
    }
  }
  return {};
}

Result<std::vector<pipe::Entry>> stream_manifest(const Context& context, const Channel& channel,
                                                 Links& links) {
  constexpr size_t kMaxManifest = 1 << 30;
  S3Uri uri = TRY(S3Uri::parse(channel.s3_uri));
  transfer::S3Client client(context.s3_access(uri.bucket), context.stop);
  fs::path copy = context.folder / "manifest";
  TRY(client.download(uri, copy));
  auto unresolved = [](const S3Uri& object) -> Result<pipe::Source> {
    return pipe::Source{object, 0, "", {}};
  };
  auto entries = pipe::parse_augmented_manifest(TRY(read_file(copy, kMaxManifest)),
                                                channel.attribute_names, unresolved);
  if (!entries) return Failure(std::move(entries).error().within("manifest " + uri.text()));
  TRY(fill_references(context, *entries, links));
  return entries;
}

}  // namespace

Result<> start_pipe(const Context& context, const Channel& channel) {
  fs::path state = ChannelFolder(context, channel.name).feed();
  TRY(make_directories(state / "objects", 0700));
  Links links(state / "objects");
  bool is_augmented = channel.data_type == S3DataType::augmented_manifest;
  pipe::PipeChannel fed;
  fed.entries = TRY(is_augmented ? stream_manifest(context, channel, links)
                                 : stream_objects(context, channel, links));
  fed.name = channel.name;
  fed.is_gzip = channel.is_gzip;
  fed.is_record_io = channel.is_record_io;
  fed.shuffle_seed = channel.shuffle_seed;
  fed.is_sharded = channel.distribution == Distribution::sharded_by_key;
  HostShare share = share_of_host(context.assignment, channel);
  fed.host_index = share.index;
  fed.host_count = share.count;
  size_t count = fed.entries.size();
  pipe::PipePlan plan;
  plan.access = context.s3_access("");
  plan.remotes = context.assignment.server.remotes;
  plan.folder = context.ml / "input/data";
  plan.state = state;
  plan.user_id = ::geteuid() == 0 ? context.job_user() : ::geteuid();
  plan.channels.push_back(std::move(fed));
  TRY(pipe::start(context.program, plan));
  context.say(fmt::format("Channel {}: {} {}, {} of objects, through pipes from {}", channel.name,
                          count, is_augmented ? "manifest lines" : "files",
                          format_bytes(links.total_bytes()), channel.s3_uri));
  return {};
}

}  // namespace trainyard::agent
