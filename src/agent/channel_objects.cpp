// SPDX-License-Identifier: Apache-2.0
#include "agent/channel_objects.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_map>

namespace trainyard::agent {

namespace {

// SageMaker's own words: contract.md E.1.
Result<> refuse_partial_prefix(const S3Uri& prefix, const transfer::ChannelPlan& plan) {
  if (prefix.key.empty() || prefix.key.ends_with('/')) return {};
  for (const transfer::PlannedFile& file : plan.files) {
    if (file.key == prefix.key || file.key.starts_with(prefix.key + "/")) continue;
    return fail(Code::invalid,
                "Failed to download data. For FastFile mode, partial S3 prefix is not supported. "
                "S3 prefix has to end with a full file or folder. Current S3 prefix: [{}], found "
                "S3 object: [{}].",
                prefix.key, file.key);
  }
  return {};
}

std::string common_beginning(const std::vector<std::string>& texts) {
  std::string beginning = texts.empty() ? "" : texts.front();
  for (const std::string& text : texts) {
    auto [end, unused] =
        std::mismatch(beginning.begin(), beginning.end(), text.begin(), text.end());
    beginning.erase(end, beginning.end());
  }
  return beginning;
}

std::vector<transfer::ObjectSummary> share_of(const Context& context, const Channel& channel,
                                              std::vector<transfer::ObjectSummary> objects) {
  if (channel.distribution != Distribution::sharded_by_key) return objects;
  const protocol::Assignment& job = context.assignment;
  auto take = job.is_sharded_by_bytes ? transfer::take_balanced_shard : transfer::take_shard;
  HostShare share = share_of_host(job, channel);
  return take(std::move(objects), share.index, share.count);
}

Result<ChannelObjects> find_listed(const Context& context, const Channel& channel, bool is_dealt) {
  constexpr size_t kMaxManifest = 256 << 20;
  S3Uri uri = TRY(S3Uri::parse(channel.s3_uri));
  transfer::S3Client client(context.s3_access(uri.bucket), context.stop);
  fs::path copy = context.folder / "manifest";
  TRY(client.download(uri, copy));
  auto manifest = transfer::parse_manifest(TRY(read_file(copy, kMaxManifest)));
  if (!manifest) return Failure(std::move(manifest).error().within("manifest " + uri.text()));
  auto access = context.s3_access(manifest->prefix.bucket);
  transfer::S3Client data_client(access, context.stop);
  std::vector<std::string> keys;
  for (const std::string& path : manifest->paths) keys.push_back(manifest->prefix.key + path);
  auto objects = TRY(look_up(data_client, manifest->prefix.bucket, keys));
  if (is_dealt) objects = share_of(context, channel, std::move(objects));
  return ChannelObjects{access, manifest->prefix.bucket,
                        TRY(transfer::plan_manifest(*manifest, objects))};
}

}  // namespace

// A few are looked up one by one, many in a listing of what they have in common.
Result<std::vector<transfer::ObjectSummary>> look_up(transfer::S3Client& client,
                                                     const std::string& bucket,
                                                     const std::vector<std::string>& keys) {
  constexpr size_t kFew = 64;
  std::vector<transfer::ObjectSummary> found;
  if (keys.size() <= kFew) {
    for (const std::string& key : keys) found.push_back(TRY(client.find({bucket, key})));
    return found;
  }
  auto listed = TRY(client.list({bucket, common_beginning(keys)}));
  std::unordered_map<std::string_view, const transfer::ObjectSummary*> by_key;
  for (const auto& object : listed) by_key.emplace(object.key, &object);
  for (const std::string& key : keys) {
    auto object = by_key.find(key);
    if (object == by_key.end()) {
      return fail(Code::not_found, "there is no s3://{}/{}", bucket, key);
    }
    found.push_back(*object->second);
  }
  return found;
}

bool link_object(const transfer::ObjectSummary& object, const fs::path& target) {
  struct stat info {};
  if (object.file.empty() || ::link(object.file.c_str(), target.c_str()) != 0) return false;
  bool is_it = ::stat(target.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
               static_cast<uint64_t>(info.st_size) == object.size;
  // The job's user reads it, too; nobody else gets to the folders above.
  constexpr mode_t kReadable = 0644;
  bool is_readable = (info.st_mode & 0777) == kReadable || ::chmod(target.c_str(), kReadable) == 0;
  if (is_it && is_readable) return true;
  ::unlink(target.c_str());
  return false;
}

HostShare share_of_host(const protocol::Assignment& assignment, const Channel& channel) {
  HostShare share{0, 0};
  for (const std::string& host : assignment.hosts) {
    if (!protocol::is_for_host(channel, assignment, host)) continue;
    if (host == assignment.host) share.index = share.count;
    ++share.count;
  }
  return share;
}

Result<ChannelObjects> find_objects(const Context& context, const Channel& channel, bool is_dealt) {
  if (channel.data_type == S3DataType::manifest) return find_listed(context, channel, is_dealt);
  S3Uri prefix = TRY(S3Uri::parse(channel.s3_uri));
  auto access = context.s3_access(prefix.bucket);
  transfer::S3Client client(access, context.stop);
  auto objects = TRY(client.list(prefix));
  if (objects.empty()) return fail(Code::not_found, "no objects under {}", channel.s3_uri);
  if (is_dealt) objects = share_of(context, channel, std::move(objects));
  auto plan = TRY(transfer::plan_channel(prefix, objects));
  if (channel.input_mode == InputMode::fast_file) TRY(refuse_partial_prefix(prefix, plan));
  return ChannelObjects{std::move(access), prefix.bucket, std::move(plan)};
}

}  // namespace trainyard::agent
