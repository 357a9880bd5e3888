// SPDX-License-Identifier: Apache-2.0
#include "aws/canonical.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace trainyard::aws {

namespace {

// Parameters sorted by name, then value, each encoded exactly once.
std::string canonical_query(std::string_view query) {
  std::vector<std::string> pieces;
  for (std::string_view piece : split(query, '&')) {
    if (piece.empty()) continue;
    size_t equals = std::min(piece.find('='), piece.size());
    auto encode = [](std::string_view text) {
      return percent_encode(percent_decode(text).value_or(std::string(text)));
    };
    std::string value = equals < piece.size() ? encode(piece.substr(equals + 1)) : std::string();
    pieces.push_back(encode(piece.substr(0, equals)) + "=" + value);
  }
  std::sort(pieces.begin(), pieces.end());
  return fmt::format("{}", fmt::join(pieces, "&"));
}

// S3 signs the path encoded once, other services encode what is sent a second time.
std::string canonical_path(std::string_view path, std::string_view service) {
  if (service != "s3") return percent_encode(path, true);
  return percent_encode(percent_decode(path).value_or(std::string(path)), true);
}

std::string single_blanks(std::string_view text) {
  std::string result;
  for (char c : trim(text)) {
    if (c != ' ' || !result.ends_with(' ')) result += c;
  }
  return result;
}

std::string canonical_request(const Canonical& request, std::string_view service) {
  std::string headers;
  for (const std::string& wanted : request.signed_headers) {
    std::vector<std::string> values;
    for (const auto& [name, value] : request.headers) {
      if (equal_ignoring_case(name, wanted)) values.push_back(single_blanks(value));
    }
    headers += fmt::format("{}:{}\n", wanted, fmt::join(values, ","));
  }
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method,
                     canonical_path(request.path, service), canonical_query(request.query), headers,
                     fmt::join(request.signed_headers, ";"), request.payload_hash);
}

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_sha256(), nullptr);
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::string digest(32, '\0');
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

std::string Scope::text() const {
  return fmt::format("{}/{}/{}/aws4_request", date, region, service);
}

namespace {

std::string derive_key(std::string_view secret_key, const Scope& scope) {
  std::string key = hmac_sha256(fmt::format("AWS4{}", secret_key), scope.date);
  key = hmac_sha256(hmac_sha256(key, scope.region), scope.service);
  return hmac_sha256(key, "aws4_request");
}

}  // namespace

// Four of a request's five HMACs are those of the request before: each thread keeps some keys.
std::string signing_key(std::string_view secret_key, const Scope& scope) {
  struct Kept {
    std::string secret_key;
    std::string scope;
    std::string key;
  };
  thread_local std::array<Kept, 4> kept;
  thread_local size_t oldest = 0;
  std::string text = scope.text();
  for (const Kept& one : kept) {
    if (one.scope == text && one.secret_key == secret_key) return one.key;
  }
  Kept& made = kept[oldest++ % kept.size()];
  made = {std::string(secret_key), std::move(text), derive_key(secret_key, scope)};
  return made.key;
}

std::string signature_of(const Canonical& request, const Scope& scope, std::string_view amz_date,
                         std::string_view key) {
  std::string text = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, amz_date, scope.text(),
                                 to_hex(sha256(canonical_request(request, scope.service))));
  return to_hex(hmac_sha256(key, text));
}

}  // namespace trainyard::aws
