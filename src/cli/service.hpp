// SPDX-License-Identifier: Apache-2.0
// The service as a client sees it: where it is, and calls to its API.
#pragma once

#include <string>

#include "aws/sigv4.hpp"
#include "base/file.hpp"
#include "base/json.hpp"
#include "http/client.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::cli {

// Where a command was told to look.
struct Where {
  std::string data_dir;
  bool is_data_dir_given = false;  // else `data_dir` is the default
  std::string endpoint;            // empty: not given
};

struct Access {
  std::string endpoint;
  std::string region;
  std::string account_id;
  aws::Credentials credentials;
  std::string data_dir;  // empty: the service is not known to be on this machine
};

// From the endpoint (given, or AWS_ENDPOINT_URL) and the keys of the environment where they are
// set, else from the file that `trainyard serve` keeps in its data dir; a data dir that was given
// comes before AWS_ENDPOINT_URL. The error says how to start a service.
Result<Access> find_access(const Where& where);

// The service's own file in its data dir, as written by serve.
std::string access_file_name();

// As GetCallerIdentity has it.
struct Caller {
  std::string account_id;
  std::string role_arn;
};

class Service {
 public:
  explicit Service(Access access) : access_(std::move(access)) {}

  // A JSON-protocol call: service "sagemaker", target "SageMaker.ListTrainingJobs". A fault is an
  // Error "<code>: <message>", not_found where it says so.
  Result<json::object> call(const std::string& service, const std::string& target,
                            const json::object& request);
  // Who we are to the service. `unavailable` where it does not answer.
  Result<Caller> caller();
  transfer::S3Access s3() const { return {access_.endpoint, access_.region, access_.credentials}; }
  const Access& access() const { return access_; }

 private:
  Result<http::Answer> post(const std::string& service, http::Headers headers, std::string body);

  Access access_;
  http::Client client_;
};

}  // namespace trainyard::cli
