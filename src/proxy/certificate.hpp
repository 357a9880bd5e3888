// SPDX-License-Identifier: Apache-2.0
// Keys (EC P-256) and certificates (X.509 v3). Internal to proxy/.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace trainyard::proxy {

struct Identity {
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key{nullptr, EVP_PKEY_free};
  std::unique_ptr<X509, void (*)(X509*)> certificate{nullptr, X509_free};
};

// A new authority of ten years. Its certificate's name constraint permits amazonaws.com and what is
// below it, and no address.
Result<Identity> make_authority(Time now);

// For exactly this host, valid thirty days.
Result<Identity> make_leaf(const Identity& authority, const std::string& host, Time now);

// Key and certificate, as PEM in one text; `invalid` where the text does not hold both, or they do
// not belong together.
std::string to_pem(const Identity& identity);
Result<Identity> identity_of_pem(std::string_view pem);
std::string certificate_to_pem(const Identity& identity);

bool is_valid_at(const Identity& identity, Time time);

}  // namespace trainyard::proxy
