// SPDX-License-Identifier: Apache-2.0
// The commands of people, one file each. Each returns an exit status; an error is printed by main.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/service.hpp"

namespace trainyard::cli {

// Shell lines that point AWS clients at the service; JSON where `as_json`.
Result<int> print_environment(const Access& access, bool as_json);

// Runs a program for which *.amazonaws.com is the service: a proxy of this process answers for
// those hosts, and the program's environment leads to it. The exit status is the program's, 128 +
// signal where one ended it, 127 where it could not be started. SIGINT, SIGTERM and their like are
// passed on.
Result<int> execute(Service& service, const std::vector<std::string>& arguments);

struct SdkConfigOptions {
  std::string file;  // empty: standard output
  bool is_forced = false;
};
// The SageMaker SDK's own defaults file for this service. `conflict`: the file says something else.
Result<int> print_sdk_config(Service& service, const SdkConfigOptions& options);

struct TrainOptions {
  std::string script;                        // train.py, or a shell script
  std::string source_dir;                    // packed as a whole; empty: the script alone
  std::string image;                         // "tensorflow:2.19"
  std::vector<std::string> channels;         // "train=s3://bucket/prefix"
  std::vector<std::string> hyperparameters;  // "epochs=3"
  std::vector<std::string> variables;        // "NAME=value"
  std::string name;                          // empty: made from the script's name and the time
  std::string bucket;                        // for source and model; made where it is not there
  int64_t max_runtime_seconds = 86400;
  bool is_detached = false;
  bool as_json = false;
};
// Exit status 0 when the job completed, 1 when it failed, 2 when it was stopped.
Result<int> train(Service& service, const TrainOptions& options);

struct ListOptions {
  std::string name_contains;
  std::string status;
  int64_t limit = 20;
  bool as_json = false;
};
Result<int> list_jobs(Service& service, const ListOptions& options);

Result<int> describe_job(Service& service, const std::string& name, bool as_json);

// Follows until the job is terminal where `is_following`.
Result<int> print_logs(Service& service, const std::string& name, bool is_following);

Result<int> stop_job(Service& service, const std::string& name);

// Takes a spot job's instance away, to see that the job goes on from its checkpoints.
Result<int> interrupt_job(Service& service, const std::string& name);

struct EnvironmentOptions {
  std::string file;    // environments.toml
  std::string folder;  // where they are built
  std::string uv;
  bool as_json = false;
};
Result<int> list_environments(const EnvironmentOptions& options);
Result<int> prepare_environment(const EnvironmentOptions& options, const std::string& image);
Result<int> remove_environment(const EnvironmentOptions& options, const std::string& name);

struct ImageOptions {
  std::string docker;  // "unix:///var/run/docker.sock"
  std::string docker_tls;
  bool as_json = false;
};
// Whether an image keeps to SageMaker's contract. Exit status 1 when it does not.
Result<int> check_image(const ImageOptions& options, const std::string& image);

// Objects and bytes of each bucket of the embedded store in this data dir.
Result<int> print_store_usage(const std::string& data_dir);
// Reads all objects and says which are damaged. Exit status 1 when some are. The service may run.
Result<int> verify_store(const std::string& data_dir);

// Prints a job's new log lines and transitions as they come, until it is terminal. Returns its
// status.
Result<std::string> follow_job(Service& service, const std::string& name);

}  // namespace trainyard::cli
