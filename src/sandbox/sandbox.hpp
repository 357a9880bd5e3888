// SPDX-License-Identifier: Apache-2.0
// The walls around a job's processes: bubblewrap builds them where namespaces are allowed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::sandbox {

enum class Isolation {
  sandbox,  // own mounts, processes, IPC, host name; an unprivileged user where we are root
  process,  // own session and folders only
};

// What the job's processes see.
struct Walls {
  std::string host_name;            // "algo-1"
  fs::path ml_dir;                  // becomes /opt/ml
  fs::path temporary_dir;           // becomes /tmp
  fs::path home_dir;                // becomes /home/job
  std::vector<fs::path> read_only;  // shown at their own paths
  std::vector<fs::path> writable;
  std::vector<std::pair<fs::path, std::string>> binds;  // writable folders, shown as
  std::vector<std::pair<fs::path, std::string>> files;  // read-only files and folders, shown as
  std::vector<fs::path> devices;                        // shown beside the usual ones
  bool has_network = true;                              // that of the process that builds the walls
  fs::path resolver;     // its /etc/resolv.conf; empty: the host's, and the host's resolver
  uint32_t user_id = 0;  // of the job, where we are root; 0: the user's own
};

// `denied` where a path that is to be shown goes through a link in a folder of the job: bwrap,
// which has our rights, would follow it out of the walls. Requires: no process of the job runs.
Result<> check_mount_points(const Walls& walls);

// `command` wrapped so that running it runs it inside.
std::vector<std::string> wrap(const Walls& walls, const std::vector<std::string>& command,
                              const std::string& working_dir);

// Whether walls can be built here: runs `true` inside. The error says what is missing.
Result<> probe();

// A user number for a job, the same for the same text, far from those of people.
uint32_t user_id_for(std::string_view job);

}  // namespace trainyard::sandbox
