// SPDX-License-Identifier: Apache-2.0
#include "aws/sigv2.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <map>

#include "aws/payload.hpp"
#include "aws/s3_host.hpp"
#include "base/text.hpp"

namespace trainyard::aws {

namespace {

// Parameters that are part of the signed resource.
constexpr std::array<std::string_view, 26> kSubresources = {"acl",
                                                            "cors",
                                                            "delete",
                                                            "lifecycle",
                                                            "location",
                                                            "logging",
                                                            "notification",
                                                            "object-lock",
                                                            "partNumber",
                                                            "policy",
                                                            "requestPayment",
                                                            "response-cache-control",
                                                            "response-content-disposition",
                                                            "response-content-encoding",
                                                            "response-content-language",
                                                            "response-content-type",
                                                            "response-expires",
                                                            "restore",
                                                            "tagging",
                                                            "torrent",
                                                            "uploadId",
                                                            "uploads",
                                                            "versionId",
                                                            "versioning",
                                                            "versions",
                                                            "website"};

std::string hmac_sha1(std::string_view key, std::string_view text) {
  std::string digest(20, '\0');
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

std::string resource_of(const http::Request& request,
                        const std::vector<http::QueryParameter>& parameters) {
  std::map<std::string, std::string> kept;
  for (const auto& [name, value] : parameters) {
    bool is_kept =
        std::find(kSubresources.begin(), kSubresources.end(), name) != kSubresources.end();
    if (is_kept) kept[name] = value;
  }
  std::string bucket = bucket_of_host(request.headers.get("Host"));
  const std::string path = (bucket.empty() ? "" : "/" + bucket) + request.path;
  std::string resource = path;
  for (const auto& [name, value] : kept) {
    resource += (resource == path ? "?" : "&") + name;
    if (!value.empty()) resource += "=" + value;
  }
  return resource;
}

std::string text_to_sign(const http::Request& request,
                         const std::vector<http::QueryParameter>& parameters,
                         const std::string& expires) {
  std::map<std::string, std::string> amazon;
  for (const auto& [name, value] : request.headers) {
    if (to_lower(name).starts_with("x-amz-")) amazon[to_lower(name)] = trim(value);
  }
  for (const auto& [name, value] : parameters) {
    if (name.starts_with("x-amz-")) amazon[name] = value;
  }
  std::string text =
      fmt::format("{}\n{}\n{}\n{}\n", request.method, request.headers.get("Content-MD5"),
                  request.headers.get("Content-Type"), expires);
  for (const auto& [name, value] : amazon) text += fmt::format("{}:{}\n", name, value);
  return text + resource_of(request, parameters);
}

}  // namespace

bool is_sigv2_presigned(const http::Request& request) {
  return request.query.find("AWSAccessKeyId=") != std::string::npos &&
         request.query.find("Signature=") != std::string::npos &&
         !request.headers.find("Authorization");
}

std::variant<Verified, Fault> verify_sigv2(const http::Request& request,
                                           const FindCredentials& find, Time now) {
  auto parameters = request.query_parameters();
  if (!parameters) return Fault{"AccessDenied", "The query is malformed"};
  std::map<std::string, std::string> fields(parameters->begin(), parameters->end());
  auto expires = parse_unsigned(fields["Expires"]);
  if (!expires) return Fault{"AccessDenied", "Invalid date (should be seconds since epoch)"};
  if (to_epoch_ms(now) / 1000 > static_cast<int64_t>(std::min<uint64_t>(*expires, 1ULL << 40))) {
    return Fault{"AccessDenied", "Request has expired"};
  }
  auto credentials = find(fields["AWSAccessKeyId"]);
  if (!credentials) {
    return Fault{"InvalidAccessKeyId",
                 "The AWS access key Id you provided does not exist in our records."};
  }
  if (credentials->session_token != fields["x-amz-security-token"]) {
    return Fault{"InvalidToken", "The security token included in the request is invalid"};
  }
  std::string expected = to_base64(
      hmac_sha1(credentials->secret_key, text_to_sign(request, *parameters, fields["Expires"])));
  const std::string& claimed = fields["Signature"];
  if (claimed.size() != expected.size() ||
      CRYPTO_memcmp(claimed.data(), expected.data(), expected.size()) != 0) {
    return Fault{"SignatureDoesNotMatch",
                 "The request signature we calculated does not match the signature you provided. "
                 "Check your key and signing method."};
  }
  return Verified{{fields["AWSAccessKeyId"], "", "s3"}, plain_body(*request.body)};
}

}  // namespace trainyard::aws
