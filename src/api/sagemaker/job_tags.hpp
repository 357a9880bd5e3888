// SPDX-License-Identifier: Apache-2.0
// Tags of a training job that Trainyard itself obeys. They change nothing that AWS knows of, so
// launch code that sets them works there, too.
//
//   trainyard:records   what broken TFRecords in a channel mean: report (in the log), fail,
//                       skip-object (leave the file out), ignore (do not look)
//   trainyard:sharding  bytes: ShardedByS3Key deals out objects by their bytes, not their number
//   trainyard:engine    local or docker: where it runs, whatever the service's rules say
#pragma once

#include <optional>

#include "aws/fault.hpp"
#include "base/json.hpp"
#include "protocol/assignment.hpp"

namespace trainyard::api::sagemaker {

// A tag with our prefix that means nothing is a misspelling: ValidationException.
std::optional<aws::Fault> check_job_tags(const json::object& request);

// Requires: check_job_tags() has passed.
void apply_job_tags(const json::object& request, protocol::Assignment& assignment);

}  // namespace trainyard::api::sagemaker
