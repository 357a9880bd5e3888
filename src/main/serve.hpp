// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "main/engines.hpp"
#include "model/remote_s3.hpp"

namespace trainyard {

struct ServeOptions {
  std::string listen = "127.0.0.1:4600";
  std::string data_dir;    // made where it does not exist
  std::string ready_file;  // empty: none
  std::string region = "us-west-2";
  std::string account_id = "123456789012";
  size_t max_running_jobs = 2;
  std::string isolation = "auto";  // auto, sandbox, process
  int64_t host_vcpus = 0;          // that jobs share; 0: not counted
  int64_t host_memory_gib = 0;     // that jobs share; 0: not counted
  std::string host_gpus = "auto";  // or a number
  std::string instance_types_file;
  int64_t job_memory_mib = 0;        // 0: no limit
  int64_t job_cpus = 0;              // 0: no limit
  std::string job_network = "auto";  // auto, own, host
  int64_t stop_grace_seconds = 120;
  int64_t cache_gib = 100;
  std::string broken_records = "report";  // protocol::RecordPolicy
  int64_t store_quota = 0;                // bytes; 0: no limit
  std::string environments_file;
  std::string environments_dir;   // empty: <data dir>/environments
  std::string uv;                 // empty: looked up
  bool allow_plain_http = false;  // on an address that others reach
  std::vector<RemoteS3> remotes;  // buckets that live elsewhere
  std::string docker = "auto";    // "auto", "off", or where the daemon listens
  std::string docker_tls;         // folder of ca.pem, cert.pem, key.pem
  std::string docker_gpus;        // of each container: "", "all", "0,1"
  int64_t docker_shm_mib = 0;     // 0: the daemon's own
  std::vector<EngineRule> engine_rules;
};

// Serves until SIGTERM or SIGINT. Makes the data dir's access key at the first start.
Result<> serve(const ServeOptions& options);

}  // namespace trainyard
