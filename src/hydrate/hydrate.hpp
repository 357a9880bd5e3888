// SPDX-License-Identifier: Apache-2.0
// What the agent needs for a FastFile channel: starts, finds and stops `trainyard hydrate FILE`,
// the daemon that shows a tree of files whose bytes come from S3 on first read.
//
// The tree is to be bound read-only into the job's walls, after start() has returned and never
// below an overlayfs (it hides reads from the daemon: zeros). A job whose daemon find() no longer
// finds must be killed at once; until then the daemon's other process denies its reads with EIO.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/process_tree.hpp"
#include "base/result.hpp"
#include "model/s3_uri.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::hydrate {

struct LazyFile {
  std::string path;  // relative to the tree, "train/part-0.tfrecord"
  S3Uri object;
  std::string etag;  // as the listing said it: an object that was replaced since is an error
  uint64_t size = 0;
};

struct HydratePlan {
  transfer::S3Access access;
  std::vector<LazyFile> files;  // in the order in which idle time completes them
  fs::path tree;                // made by the daemon; must not exist, or be an empty folder
  fs::path state;               // a folder of ours: pid files, what happened, tier 2's bytes
  std::string tier = "auto";    // or "fanotify", "fuse"
  std::chrono::seconds stall_timeout{60};  // a download without a byte for so long fails the read
};

// Holds credentials: only for files of mode 0600.
std::string to_json(const HydratePlan& plan);
// Refuses paths that are absolute, hold ".." or stand for a file and a folder at once.
Result<HydratePlan> parse_plan(std::string_view text);

struct Started {
  ProcessId guardian;
  std::string tier;  // "fanotify" or "fuse"
  std::string note;  // why a tier was not chosen, and what the chosen one can do here; mostly empty
};

// Starts the daemon (`program` is trainyard's own) and waits until its tree may be shown. It
// outlives the caller. `exhausted`: the disk does not hold the files; `unavailable`: no tier works
// on this host. Then nothing runs and File mode is what remains. What an earlier daemon with the
// same folders left is removed.
Result<Started> start(const fs::path& program, const HydratePlan& plan, std::stop_token stop = {});

// The daemon that runs for this state folder; nullopt when there is none any more.
std::optional<ProcessId> find(const fs::path& state);

// Ends the daemon; for jobs whose processes are gone. Files that are not complete are cut to
// length 0 rather than shown as zeros. The tree stays, to be removed by the caller.
Result<> stop(const fs::path& state);

// The first read that failed, for FailureReason.
struct ReadError {
  std::string object;   // "s3://bucket/key"; empty where the daemon as a whole failed
  uint64_t offset = 0;  // of the first byte that did not come
  std::string cause;

  std::string text() const;
};
std::optional<ReadError> first_error(const fs::path& state);

}  // namespace trainyard::hydrate
