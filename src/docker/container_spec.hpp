// SPDX-License-Identifier: Apache-2.0
// What a container is to be, in our words, and as the daemon wants it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"

namespace trainyard::docker {

using Labels = std::map<std::string, std::string>;

// What containers, networks and volumes of a service bear, so that it finds them again.
inline constexpr const char* kServiceLabel = "trainyard.service";
inline constexpr const char* kJobLabel = "trainyard.job";
inline constexpr const char* kAttemptLabel = "trainyard.attempt";
inline constexpr const char* kInstanceLabel = "trainyard.instance";

// A folder of the host, or, where `lower` is not empty, an overlay over that folder that the
// daemon mounts with the container and takes down with it: a volume named `volume`.
struct Mount {
  std::string source;  // of the host; with an overlay the folder that takes what is written
  std::string target;
  bool is_read_only = false;
  std::string lower = {};
  std::string work = {};
  std::string volume = {};
};

struct ContainerSpec {
  std::string image;
  std::vector<std::string> entrypoint;  // empty: the image's own
  std::vector<std::string> arguments;   // empty with an entrypoint: none; else the image's own
  std::vector<std::pair<std::string, std::string>> variables;
  Labels labels;
  std::string user;  // empty: the image's own
  std::string host_name;
  std::string network;               // its name
  std::vector<std::string> aliases;  // there
  std::vector<Mount> mounts;
  int64_t memory_bytes = 0;  // 0: no limit; swap does not count against it, there is none
  double cpus = 0;           // 0: no limit
  int64_t shm_bytes = 0;     // of /dev/shm; 0: the daemon's own, 64 MiB
  std::string gpus;          // "": none, "all", or device numbers or ids "0,1"
};

// The body of POST /containers/create. Reaped by an init of the daemon's, never restarted by it,
// its output kept whole until it is removed.
json::object to_json(const ContainerSpec& spec);

// A path can be a layer of an overlay volume: ':' and ',' part the options.
bool can_be_layer(std::string_view path);

}  // namespace trainyard::docker
