// SPDX-License-Identifier: Apache-2.0
// Which checkpoint files go to S3 next, and in which order, so that at every instant what lies in
// S3 is a checkpoint that a script can go on from (contract.md J.2). Pure.
//
// A file goes up when nobody has it open for writing and it has not changed since the last look.
// Data goes before indexes, and before TensorFlow's file `checkpoint`, which names the newest
// checkpoint (the head of its folder): a head goes up only when all files of what it names are
// there, and they are not deleted while it names them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace trainyard::agent {

// Changes whenever the file's content does.
struct FileState {
  uint64_t size = 0;
  int64_t modified_ns = 0;
  uint64_t inode = 0;

  bool operator==(const FileState&) const = default;
};
using Files = std::map<std::string, FileState>;  // by path below the checkpoint folder

enum class Moment {
  running,
  ended,   // by itself: all files are whole
  killed,  // by a signal: a file that was changing may be half-written
};

struct SyncState {
  Moment moment = Moment::running;
  Files local;     // without heads
  Files before;    // what the last look saw
  Files uploaded;  // as they were when they went up
  std::set<std::string> open_for_writing;
  // Contents by path; the local ones were read before `local` was listed.
  std::map<std::string, std::string> heads;
  std::map<std::string, std::string> uploaded_heads;
};

struct SyncPlan {
  std::vector<std::string> uploads;  // in this order
  std::vector<std::string> heads;    // after them
  std::vector<std::string> deletes;  // last
  std::vector<std::string> unsure;  // of a killed script: perhaps half-written, left where they are
};

SyncPlan plan_sync(const SyncState& state);

// "logs/checkpoint" is a head.
bool is_head(const std::string& path);

// The prefix, below the checkpoint folder, of the files that a head's text names as the newest:
// "logs/ckpt-7" for 'model_checkpoint_path: "ckpt-7"'; empty where it names none.
std::string newest_of(const std::string& head_path, const std::string& text);

}  // namespace trainyard::agent
