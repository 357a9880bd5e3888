// SPDX-License-Identifier: Apache-2.0
// The certificate authority of one installation. Who trusts it trusts it for amazonaws.com alone:
// its certificate says so (RFC 5280, 4.2.1.10).
#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/result.hpp"

struct ssl_ctx_st;

namespace trainyard::proxy {

// Thread-safe.
class Authority {
 public:
  // From <folder>/authority.pem (0600). Made where it is not there, is not readable, or ends within
  // a month; two processes that come at once get the same one. The clock must outlive it.
  static Result<std::unique_ptr<Authority>> open(const fs::path& folder, const Clock& clock);

  virtual ~Authority() = default;

  // What a client has to trust.
  virtual std::string certificate_pem() const = 0;

  // The server's side of TLS for this host name, with a certificate for it; made once and kept.
  virtual Result<std::shared_ptr<ssl_ctx_st>> context_for(const std::string& host) = 0;
};

}  // namespace trainyard::proxy
