// SPDX-License-Identifier: Apache-2.0
// What the actions work on.
#pragma once

#include <functional>
#include <string>

#include "aws/fault.hpp"
#include "aws/sigv4.hpp"
#include "base/clock.hpp"
#include "base/json.hpp"
#include "jobs/job_store.hpp"
#include "logs/log_store.hpp"
#include "metrics/metric_store.hpp"
#include "model/s3_uri.hpp"
#include "objects/object_store.hpp"

namespace trainyard::api {

struct Account {
  std::string id = "123456789012";
  std::string region = "us-west-2";
  aws::Credentials credentials;
};

// References outlive every request.
struct Services {
  Account account;
  objects::ObjectStore& objects;
  jobs::JobStore& jobs;
  logs::LogStore& logs;
  metrics::MetricStore& metrics;
  const Clock& clock;
  std::function<void()> wake_scheduler;  // something to do: a new job, a stop, a report
  // Whether a bucket that lives elsewhere has objects under the prefix; nullopt: it is our own.
  std::function<std::optional<Result<bool>>(const S3Uri& prefix)> probe_remote;
};

// The role that everybody has assumed. GetRole knows every role; this is the one that clients find.
constexpr std::string_view kRole = "TrainyardExecutionRole";
constexpr std::string_view kRoleId = "AROATRAINYARD0000000";

// The group of all training jobs' logs: contract.md K.1.
constexpr std::string_view kLogGroup = "/aws/sagemaker/TrainingJobs";

// The namespace of all metrics: contract.md K.2.
constexpr std::string_view kMetricNamespace = "/aws/sagemaker/TrainingJobs";

// The answer of a JSON-protocol action: its body, "" for actions without output.
using JsonReply = tl::expected<std::string, aws::Fault>;

inline tl::unexpected<aws::Fault> refuse_json(std::string code, std::string message) {
  return tl::unexpected(aws::Fault{std::move(code), std::move(message)});
}

inline tl::unexpected<aws::Fault> refuse_json(const Error& error) {
  return tl::unexpected(aws::to_fault(error, aws::Dialect::json));
}

}  // namespace trainyard::api
