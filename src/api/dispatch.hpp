// SPDX-License-Identifier: Apache-2.0
// The way of every request: signature, service, action (contract.md A.1).
#pragma once

#include "api/services.hpp"
#include "http/message.hpp"

namespace trainyard::api {

// Thread-safe: it only reads what it holds.
class Dispatcher {
 public:
  explicit Dispatcher(Services services) : services_(std::move(services)) {}

  // Answers with a fault of the caller's dialect where the request is not signed by a known key or
  // asks for something that is not there. Never 5xx for a client's mistake.
  http::Response handle(http::Request& request) const;

 private:
  http::Response answer(const http::Request& request, aws::Verified& verified,
                        const std::string& request_id) const;
  http::Response answer_json(const http::Request& request, http::Body& body, bool is_job,
                             const std::string& request_id) const;
  http::Response answer_cbor(const http::Request& request, http::Body& body, bool is_job,
                             const std::string& request_id) const;
  // The action of a target such as "SageMaker.ListTrainingJobs", after the check of its shape.
  JsonReply run(std::string_view target, const json::object& document, bool is_job) const;
  http::Response answer_query(const std::string& service, http::Body& body,
                              const aws::Verified& verified, const std::string& request_id) const;
  std::optional<aws::Credentials> find_credentials(std::string_view access_key) const;

  Services services_;
};

}  // namespace trainyard::api
