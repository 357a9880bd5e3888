// SPDX-License-Identifier: Apache-2.0
// How the leader of an MPI job and its workers talk: TCP on the job's own network. The worker
// begins with a line that holds a nonce, the other side answers with a line of JSON and its
// HMAC-SHA256 over nonce and JSON under the job's secret; then lines in both directions. The secret
// itself never travels, and what was heard once cannot be said again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace trainyard::launch {

// `unavailable`: nobody is there, or not yet. `denied`: it does not know the secret.
Result<Fd> ask(const std::string& host, uint16_t port, const std::string& secret,
               const json::object& request);

// All addresses of this instance. `unavailable` where the port is taken.
Result<Fd> listen_on(uint16_t port);
uint16_t port_of(int listener);

struct Request {
  Fd connection;
  json::object document;
};

// The next one of those who connect. `denied`: it did not know the secret, or took longer than 10
// s.
Result<Request> accept_request(int listener, const std::string& secret);

// Up to 64 KiB and the line's end, which is left out; nullopt when the other side is gone.
std::optional<std::string> read_line(int connection);

// Somebody takes connections there.
bool is_listening(const std::string& host, uint16_t port);

// HMAC-SHA256, hexadecimal: also what makes a secret for one purpose out of another one.
std::string signature(const std::string& secret, const std::string& text);

}  // namespace trainyard::launch
