// SPDX-License-Identifier: Apache-2.0
#include "agent/checkpoint_plan.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

bool has(const Files& files, const std::string& path, const FileState& state) {
  auto found = files.find(path);
  return found != files.end() && found->second == state;
}

// "ckpt-7.index" and "ckpt-7.data-00000-of-00001" belong to "ckpt-7".
bool belongs_to(const std::string& path, const std::string& prefix) {
  return !prefix.empty() && path.starts_with(prefix + ".");
}

bool is_named(const std::string& path, const std::map<std::string, std::string>& heads) {
  return std::any_of(heads.begin(), heads.end(), [&](const auto& head) {
    return belongs_to(path, newest_of(head.first, head.second));
  });
}

// Data, then what describes it.
int rank_of(const std::string& path) {
  return path.ends_with(".index") || path.ends_with(".json") ? 1 : 0;
}

class Planner {
 public:
  explicit Planner(const SyncState& state) : state_(state) {}

  SyncPlan plan() {
    for (const auto& [path, file] : state_.local) {
      if (has(state_.uploaded, path, file)) continue;
      if (is_ready(path, file)) {
        plan_.uploads.push_back(path);
      } else if (state_.moment == Moment::killed) {
        plan_.unsure.push_back(path);
      }
    }
    std::stable_sort(
        plan_.uploads.begin(), plan_.uploads.end(),
        [](const auto& left, const auto& right) { return rank_of(left) < rank_of(right); });
    drop_indexes_without_data();
    plan_heads();
    plan_deletes();
    return std::move(plan_);
  }

 private:
  bool is_ready(const std::string& path, const FileState& file) const {
    if (state_.moment == Moment::ended) return true;
    if (state_.open_for_writing.contains(path)) return false;
    // TensorFlow replaces its head only when what the head names is whole.
    return has(state_.before, path, file) || is_named(path, state_.heads);
  }

  bool goes_or_is_up(const std::string& path, const FileState& file) const {
    return has(state_.uploaded, path, file) ||
           std::find(plan_.uploads.begin(), plan_.uploads.end(), path) != plan_.uploads.end();
  }

  // Whether all local files of this prefix are in S3 once the uploads are done.
  bool is_whole(const std::string& prefix, bool with_index) const {
    bool is_whole = true;
    bool has_any = false;
    for (const auto& [path, file] : state_.local) {
      if (!belongs_to(path, prefix) || (!with_index && path.ends_with(".index"))) continue;
      has_any = true;
      is_whole = is_whole && goes_or_is_up(path, file);
    }
    return is_whole && (has_any || !with_index);
  }

  void drop_indexes_without_data() {
    constexpr std::string_view kIndex = ".index";
    std::erase_if(plan_.uploads, [&](const std::string& path) {
      return path.ends_with(kIndex) &&
             !is_whole(path.substr(0, path.size() - kIndex.size()), false);
    });
  }

  void plan_heads() {
    heads_after_ = state_.uploaded_heads;
    for (const auto& [path, text] : state_.heads) {
      auto there = state_.uploaded_heads.find(path);
      if (there != state_.uploaded_heads.end() && there->second == text) continue;
      std::string newest = newest_of(path, text);
      if (!newest.empty() && !is_whole(newest, true)) continue;
      plan_.heads.push_back(path);
      heads_after_[path] = text;
    }
    std::erase_if(heads_after_,
                  [&](const auto& head) { return !state_.heads.contains(head.first); });
  }

  void plan_deletes() {
    for (const auto& [path, text] : state_.uploaded_heads) {
      if (!state_.heads.contains(path)) plan_.deletes.push_back(path);
    }
    for (const auto& [path, file] : state_.uploaded) {
      bool is_gone = !state_.local.contains(path);
      if (is_gone && !is_named(path, heads_after_)) plan_.deletes.push_back(path);
    }
  }

  const SyncState& state_;
  SyncPlan plan_;
  std::map<std::string, std::string> heads_after_;  // in S3, after this plan
};

}  // namespace

bool is_head(const std::string& path) {
  return path == "checkpoint" || path.ends_with("/checkpoint");
}

// A CheckpointState in text form: tensorflow/python/training/checkpoint_state.proto.
std::string newest_of(const std::string& head_path, const std::string& text) {
  constexpr std::string_view kName = "model_checkpoint_path: \"";
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with(kName)) continue;
    std::string_view name = line.substr(kName.size());
    size_t end = name.rfind('"');
    if (end == std::string_view::npos) return "";
    name = name.substr(0, end);
    // An absolute path names files of the same folder.
    if (name.starts_with('/')) name = name.substr(name.rfind('/') + 1);
    size_t folder_end = head_path.rfind('/');
    std::string folder = folder_end == std::string::npos ? "" : head_path.substr(0, folder_end + 1);
    return folder + std::string(name);
  }
  return "";
}

SyncPlan plan_sync(const SyncState& state) {
  return Planner(state).plan();
}

}  // namespace trainyard::agent
