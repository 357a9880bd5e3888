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

struct Access {
  std::string endpoint;
  std::string region;
  std::string account_id;
  aws::Credentials credentials;
};

// From AWS_ENDPOINT_URL and its keys where they are set, else from the file that `trainyard serve`
// keeps in its data dir. The error says how to start a service.
Result<Access> find_access(const std::string& data_dir);

// The service's own file in its data dir, as written by serve.
std::string access_file_name();

class Service {
 public:
  explicit Service(Access access) : access_(std::move(access)) {}

  // A JSON-protocol call: service "sagemaker", target "SageMaker.ListTrainingJobs". A fault is an
  // Error "<code>: <message>", not_found where it says so.
  Result<json::object> call(const std::string& service, const std::string& target,
                            const json::object& request);
  transfer::S3Access s3() const { return {access_.endpoint, access_.region, access_.credentials}; }
  const Access& access() const { return access_; }

 private:
  Access access_;
  http::Client client_;
};

}  // namespace trainyard::cli
