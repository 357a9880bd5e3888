// SPDX-License-Identifier: Apache-2.0
// What an agent is told about its part of a training job. The engine brings it to the host as a
// JSON file that only the agent's user can read: it holds credentials.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/remote_s3.hpp"
#include "model/resources.hpp"

namespace trainyard::protocol {

using StringPairs = std::vector<std::pair<std::string, std::string>>;

// How the agent meets the server: S3 and reports over the same endpoint.
struct ServerAccess {
  std::string endpoint;  // "http://127.0.0.1:4600"
  std::string region;
  std::string access_key;  // of the job, valid while it is not terminal
  std::string secret_key;
  std::string session_token;
  std::string report_token;       // bearer token of this attempt's reports
  std::vector<RemoteS3> remotes;  // where buckets live that the server does not hold
};

// What broken TFRecords in a channel mean for a job: its tag trainyard:records.
enum class RecordPolicy { report, fail, skip_object, ignore };
std::string_view name(RecordPolicy policy);  // "report", "fail", "skip-object", "ignore"
std::optional<RecordPolicy> parse_record_policy(std::string_view name);

// How a job runs in containers of a Docker daemon on the agent's host. The engine fills it in.
struct ContainerSettings {
  std::string docker;     // where the daemon listens: "unix:///var/run/docker.sock"; empty: no
                          // containers, the job runs behind walls
  std::string tls_dir;    // ca.pem, cert.pem and key.pem for tcp://; else empty
  std::string service;    // whose containers, networks and volumes they are: a label
  std::string network;    // of this job and attempt; the engine made it
  int64_t shm_bytes = 0;  // of /dev/shm; 0: the daemon's own
  std::string gpus;       // "" none, "all", "0,1"
};

// Where the host keeps things, and how jobs are walled off. Engines fill it in.
struct HostSettings {
  std::string job_dir;            // this instance's own folder, made by the engine
  std::string network_dir;        // of the job's own network (network/); empty: the host's
  std::string environments_dir;   // built environments, shared by all jobs of the host
  std::string environments_file;  // environments.toml
  std::string uv;                 // program; empty: look on PATH and beside the binary
  std::string cache_dir;          // of objects that jobs share; empty: none
  int64_t cache_limit_bytes = 0;  // of what no job uses
  RecordPolicy record_policy = RecordPolicy::report;  // of jobs that ask for none
  std::string isolation = "auto";                     // auto, sandbox, process
  int64_t memory_limit_bytes = 0;                     // 0: none
  double cpu_limit = 0;                               // cores; 0: none
  int64_t stop_grace_seconds = 120;  // between SIGTERM and SIGKILL (contract.md J.3)
  ContainerSettings container;
};

struct CheckpointTarget {
  std::string s3_uri;
  std::string local_path;  // default /opt/ml/checkpoints/
};

// Hosts of one kind; a job has one group unless it asks for several.
struct InstanceGroup {
  std::string name;
  std::string instance_type;
  std::vector<std::string> hosts;
};

// CreateTrainingJob, in our words, for one host of one attempt.
struct Assignment {
  std::string job_name;
  std::string job_arn;
  int64_t attempt = 1;
  std::string host = "algo-1";
  std::vector<std::string> hosts = {"algo-1"};  // sorted, the same on every host
  std::string instance_type;
  Resources resources;  // of this instance, by its type; zeros: not said
  // Numbers of the GPUs that are this instance's alone; nullopt: the host has none to give.
  std::optional<std::vector<int64_t>> gpus;
  std::vector<InstanceGroup> instance_groups;  // empty: all hosts are of one kind
  std::string image;
  std::vector<std::string> entrypoint;  // ContainerEntrypoint; empty: script mode
  std::vector<std::string> arguments;   // ContainerArguments
  StringPairs hyperparameters;          // order of the request
  StringPairs environment;
  std::vector<Channel> channels;
  std::string output_s3_uri;         // S3OutputPath
  bool is_output_compressed = true;  // OutputDataConfig.CompressionType GZIP
  std::optional<CheckpointTarget> checkpoint;
  int64_t max_runtime_seconds = 86400;
  bool is_network_isolated = false;
  std::optional<RecordPolicy> record_policy;  // nullopt: the host's
  bool is_sharded_by_bytes = false;  // tag trainyard:sharding: ShardedByS3Key deals out bytes
  std::string engine;  // tag trainyard:engine: which engine runs it; empty: by the rules
  std::vector<std::string> notices;  // sentences for the job's log: what has no effect here
  int64_t created_ms = 0;            // creation of the job; names the log stream
  ServerAccess server;
  HostSettings host_settings;
};

json::object to_json(const Assignment& assignment);
// The request's groups, or the one that AWS calls homogeneousCluster.
std::vector<InstanceGroup> groups_of(const Assignment& assignment);
// Whether the channel is for that host: channels may be for some groups alone.
bool is_for_host(const Channel& channel, const Assignment& assignment, const std::string& host);
// Leaves out the channels that are for the hosts of other groups.
void keep_channels_of_host(Assignment& assignment);
// Of this host.
std::string instance_type_of(const Assignment& assignment);

Result<Assignment> parse_assignment(const json::object& document);

}  // namespace trainyard::protocol
