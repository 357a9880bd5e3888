// SPDX-License-Identifier: Apache-2.0
#include "transfer/channel_plan.hpp"

#include <algorithm>
#include <queue>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kMaxNameBytes = 255;  // NAME_MAX of Linux

std::string as_folder(std::string_view prefix) {
  bool needs_slash = !prefix.empty() && !prefix.ends_with('/');
  return std::string(prefix) + (needs_slash ? "/" : "");
}

bool is_folder_marker(std::string_view key) {
  return key.empty() || key.ends_with('/');
}

// The path with one '/' between names and none in front, or why no file can have it.
Result<std::string> safe_path(std::string_view path, const S3Uri& object) {
  auto refuse = [&](std::string_view why) {
    return fail(Code::invalid, "S3 key '{}' cannot be placed in a directory: {}",
                to_valid_utf8(replace_all(object.text(), std::string_view("\0", 1), "\\0")), why);
  };
  if (path.find('\0') != std::string_view::npos) return refuse("it holds a NUL");
  if (path.ends_with("/.") || path == ".") return refuse("its last part is '.'");
  std::string safe;
  for (std::string_view name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name == "..") return refuse("it holds '..'");
    if (name.size() > kMaxNameBytes) return refuse("a part of it is longer than 255 bytes");
    if (!safe.empty()) safe += '/';
    safe += name;
  }
  CHECK(!safe.empty(), "folder markers were taken out before");
  return safe;
}

Failure collision(const S3Uri& prefix, const std::string& a, const std::string& b) {
  return fail(Code::invalid,
              "S3 keys 's3://{0}/{1}' and 's3://{0}/{2}' cannot both be placed in "
              "one directory",
              prefix.bucket, a, b);
}

// A file may not be where another file is, nor where another one needs a folder.
Result<> check_collisions(const S3Uri& prefix, const std::vector<PlannedFile>& files) {
  std::unordered_map<std::string_view, const PlannedFile*> by_path;
  for (const PlannedFile& file : files) {
    auto [other, is_new] = by_path.emplace(file.path, &file);
    if (!is_new) return collision(prefix, other->second->key, file.key);
  }
  for (const PlannedFile& file : files) {
    std::string_view path = file.path;
    for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      auto other = by_path.find(path.substr(0, slash));
      if (other != by_path.end()) return collision(prefix, other->second->key, file.key);
    }
  }
  return {};
}

// Folders beside the one that was meant, matched because S3 compares characters and not folders.
class Siblings {
 public:
  explicit Siblings(const S3Uri& prefix) : prefix_(prefix), folder_(as_folder(prefix.key)) {}

  void note(std::string_view key) {
    if (key.starts_with(folder_)) return;
    size_t slash = key.find('/', prefix_.key.size());
    if (slash == key.npos) return;  // a partial file name, which is asked for on purpose
    std::string_view sibling = key.substr(0, slash + 1);
    if (sibling == last_) return;  // keys come sorted
    last_ = sibling;
    ++count_;
    if (count_ == 1) first_ = sibling;
  }

  void warn(std::vector<std::string>& warnings) const {
    if (count_ == 0) return;
    std::string more = count_ > 1 ? fmt::format(" and {} more such folders", count_ - 1) : "";
    std::string_view folder = std::string_view(first_).substr(0, first_.size() - 1);
    warnings.push_back(fmt::format(
        "the S3 prefix '{0}' also matches 's3://{1}/{2}'{3}; their objects are placed as '{4}/...'."
        " End the S3Uri with '/' to leave them out",
        prefix_.text(), prefix_.bucket, first_, more, folder.substr(folder.rfind('/') + 1)));
  }

 private:
  const S3Uri& prefix_;
  std::string folder_;
  std::string first_;
  std::string last_;
  size_t count_ = 0;
};

}  // namespace

std::string local_path(std::string_view prefix, std::string_view key) {
  if (is_folder_marker(key)) return "";
  std::string folder = as_folder(prefix);
  if (key.starts_with(folder)) return std::string(key.substr(folder.size()));
  size_t slash = prefix.rfind('/');
  return std::string(slash == prefix.npos ? key : key.substr(std::min(slash + 1, key.size())));
}

std::vector<ObjectSummary> take_shard(std::vector<ObjectSummary> objects, size_t host_index,
                                      size_t host_count) {
  CHECK(host_index < host_count, "a host is one of the hosts");
  std::erase_if(objects, [](const ObjectSummary& object) { return is_folder_marker(object.key); });
  std::sort(objects.begin(), objects.end(),
            [](const ObjectSummary& a, const ObjectSummary& b) { return a.key < b.key; });
  std::vector<ObjectSummary> shard;
  for (size_t i = host_index; i < objects.size(); i += host_count) {
    shard.push_back(std::move(objects[i]));
  }
  return shard;
}

std::vector<ObjectSummary> take_balanced_shard(std::vector<ObjectSummary> objects,
                                               size_t host_index, size_t host_count) {
  CHECK(host_index < host_count, "a host is one of the hosts");
  std::erase_if(objects, [](const ObjectSummary& object) { return is_folder_marker(object.key); });
  std::sort(objects.begin(), objects.end(), [](const ObjectSummary& a, const ObjectSummary& b) {
    return a.size != b.size ? a.size > b.size : a.key < b.key;
  });
  // What a host has: bytes, then objects, so that empty ones are shared out, too; then its number.
  using Load = std::tuple<uint64_t, size_t, size_t>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> hosts;
  for (size_t host = 0; host < host_count; ++host) hosts.emplace(0, 0, host);
  std::vector<ObjectSummary> shard;
  for (ObjectSummary& object : objects) {
    auto [bytes, count, host] = hosts.top();
    hosts.pop();
    hosts.emplace(bytes + object.size, count + 1, host);
    if (host == host_index) shard.push_back(std::move(object));
  }
  std::sort(shard.begin(), shard.end(),
            [](const ObjectSummary& a, const ObjectSummary& b) { return a.key < b.key; });
  return shard;
}

Result<ChannelPlan> plan_channel(const S3Uri& prefix, const std::vector<ObjectSummary>& objects) {
  ChannelPlan plan;
  Siblings siblings(prefix);
  for (const ObjectSummary& object : objects) {
    S3Uri uri{prefix.bucket, object.key};
    if (!object.key.starts_with(prefix.key)) {
      return fail(Code::invalid, "S3 key '{}' is not under '{}'", uri.text(), prefix.text());
    }
    if (is_folder_marker(object.key)) {
      if (object.size > 0) {
        plan.warnings.push_back(fmt::format(
            "'{}' is skipped: its key ends in '/', so it is no file, yet it holds {} bytes",
            uri.text(), object.size));
      }
      continue;
    }
    std::string path = TRY(safe_path(local_path(prefix.key, object.key), uri));
    siblings.note(object.key);
    plan.files.push_back({object.key, std::move(path), object.size, object.etag, object.file});
    plan.total_bytes += object.size;
  }
  TRY(check_collisions(prefix, plan.files));
  siblings.warn(plan.warnings);
  return plan;
}

Result<ChannelPlan> plan_manifest(const ManifestKeys& manifest,
                                  const std::vector<ObjectSummary>& objects) {
  ChannelPlan plan;
  std::unordered_set<std::string_view> known;
  for (const ObjectSummary& object : objects) {
    if (is_folder_marker(object.key) || !known.insert(object.key).second) continue;
    S3Uri uri{manifest.prefix.bucket, object.key};
    CHECK(object.key.starts_with(manifest.prefix.key), "the manifest's own objects");
    std::string path = TRY(safe_path(object.key.substr(manifest.prefix.key.size()), uri));
    plan.files.push_back({object.key, std::move(path), object.size, object.etag, object.file});
    plan.total_bytes += object.size;
  }
  TRY(check_collisions(manifest.prefix, plan.files));
  return plan;
}

}  // namespace trainyard::transfer
