// SPDX-License-Identifier: Apache-2.0
// The way of every request: signature, service, action (contract.md A.1).
#pragma once

#include <string>

#include "aws/sigv4.hpp"
#include "base/clock.hpp"
#include "http/message.hpp"
#include "objects/object_store.hpp"

namespace trainyard::api {

struct Account {
  std::string id = "123456789012";
  std::string region = "us-west-2";
  aws::Credentials credentials;
};

// Thread-safe: it only reads what it holds.
class Dispatcher {
 public:
  // Both references must outlive the dispatcher.
  Dispatcher(Account account, objects::ObjectStore& store, const Clock& clock)
      : account_(std::move(account)), store_(store), clock_(clock) {}

  // Answers with a fault of the caller's dialect where the request is not signed by the account's
  // key or asks for something that is not there. Never 5xx for a client's mistake.
  http::Response handle(http::Request& request) const;

 private:
  http::Response answer(const http::Request& request, aws::Verified& verified,
                        const std::string& request_id) const;

  Account account_;
  objects::ObjectStore& store_;
  const Clock& clock_;
};

}  // namespace trainyard::api
