// SPDX-License-Identifier: Apache-2.0
#include "aws/sigv4.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <map>

#include "aws/canonical.hpp"
#include "aws/payload.hpp"
#include "aws/sigv2.hpp"
#include "base/text.hpp"

namespace trainyard::aws {

namespace {

constexpr std::chrono::minutes kMaxSkew{15};
constexpr uint64_t kMaxExpiresSeconds = 7 * 86400;

// Who claims to have signed what, from the Authorization header or the query.
struct Claim {
  bool is_presigned = false;
  std::string access_key;
  Scope scope;
  std::vector<std::string> signed_headers;
  std::string signature;
  std::string amz_date;
  std::string session_token;
  std::string query;  // what the signature covers
  uint64_t expires_seconds = 0;

  bool is_s3() const { return scope.service == "s3"; }
  Fault fault(std::string_view s3_code, std::string_view code, std::string message) const {
    return Fault{std::string(is_s3() ? s3_code : code), std::move(message)};
  }
};

bool set_credential(Claim& claim, std::string_view text) {
  auto credential = split(text, '/');
  if (credential.size() != 5 || credential[4] != "aws4_request") return false;
  claim.access_key = credential[0];
  claim.scope = {std::string(credential[1]), std::string(credential[2]),
                 std::string(credential[3])};
  return true;
}

// "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…"
std::optional<Claim> header_claim(const http::Request& request) {
  std::string_view text = request.headers.get("Authorization");
  if (!text.starts_with(kAlgorithm)) return std::nullopt;
  std::map<std::string_view, std::string_view> fields;
  for (std::string_view piece : split(text.substr(kAlgorithm.size()), ',')) {
    piece = trim(piece);
    size_t equals = piece.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    fields[piece.substr(0, equals)] = piece.substr(equals + 1);
  }
  Claim claim;
  if (!set_credential(claim, fields["Credential"])) return std::nullopt;
  for (std::string_view name : split(fields["SignedHeaders"], ';')) {
    claim.signed_headers.emplace_back(name);
  }
  claim.signature = fields["Signature"];
  claim.amz_date = request.headers.get("X-Amz-Date");
  claim.session_token = request.headers.get("X-Amz-Security-Token");
  claim.query = request.query;
  return claim;
}

// X-Amz-Algorithm, -Credential, -Date, -Expires, -SignedHeaders, -Signature in the query.
std::optional<Claim> query_claim(const http::Request& request) {
  auto parameters = request.query_parameters();
  if (!parameters) return std::nullopt;
  std::map<std::string, std::string> fields(parameters->begin(), parameters->end());
  Claim claim;
  claim.is_presigned = true;
  auto expires = parse_unsigned(fields["X-Amz-Expires"]);
  if (fields["X-Amz-Algorithm"] != kAlgorithm || !expires || *expires > kMaxExpiresSeconds ||
      !set_credential(claim, fields["X-Amz-Credential"])) {
    return std::nullopt;
  }
  claim.expires_seconds = *expires;
  for (std::string_view name : split(fields["X-Amz-SignedHeaders"], ';')) {
    claim.signed_headers.emplace_back(name);
  }
  claim.signature = fields["X-Amz-Signature"];
  claim.amz_date = fields["X-Amz-Date"];
  claim.session_token = fields["X-Amz-Security-Token"];
  for (std::string_view piece : split(request.query, '&')) {
    if (piece.starts_with("X-Amz-Signature=")) continue;
    claim.query += (claim.query.empty() ? "" : "&") + std::string(piece);
  }
  return claim;
}

std::variant<Claim, Fault> read_claim(const http::Request& request) {
  if (request.headers.find("Authorization")) {
    if (auto claim = header_claim(request)) return *claim;
    return Fault{"AuthorizationHeaderMalformed", "The Authorization header is no SigV4 signature"};
  }
  if (request.query.find("X-Amz-Signature=") != std::string::npos) {
    if (auto claim = query_claim(request)) return *claim;
    return Fault{"AuthorizationQueryParametersError",
                 "The X-Amz-* parameters of the presigned URL are incomplete or malformed"};
  }
  bool is_api =
      request.headers.find("X-Amz-Target") || (request.method == "POST" && request.path == "/");
  return Fault{is_api ? "MissingAuthenticationTokenException" : "AccessDenied",
               "The request is not signed"};
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<Fault> check_headers(const http::Request& request, const Claim& claim) {
  for (const auto& [name, value] : request.headers) {
    std::string lower = to_lower(name);
    if (lower != "host" && !lower.starts_with("x-amz-")) continue;
    if (std::find(claim.signed_headers.begin(), claim.signed_headers.end(), lower) ==
        claim.signed_headers.end()) {
      return claim.fault("AccessDenied", "IncompleteSignatureException",
                         fmt::format("There were headers present in the request which were not "
                                     "signed: {}",
                                     lower));
    }
  }
  return std::nullopt;
}

std::optional<Fault> check_time(const Claim& claim, Time now) {
  auto sent = parse_amz_date(claim.amz_date);
  if (!sent || claim.amz_date.substr(0, 8) != claim.scope.date) {
    return claim.fault("AccessDenied", "IncompleteSignatureException",
                       "X-Amz-Date is missing, malformed, or of another day than the credential");
  }
  if (claim.is_presigned && now > *sent + std::chrono::seconds(claim.expires_seconds)) {
    return claim.fault("AccessDenied", "InvalidSignatureException", "Request has expired");
  }
  bool is_too_old = !claim.is_presigned && *sent < now - kMaxSkew;
  if (*sent > now + kMaxSkew || is_too_old) {
    return claim.fault(
        "RequestTimeTooSkewed", "InvalidSignatureException",
        fmt::format("Signature expired or not yet current: {} is more than 15 minutes from the "
                    "server's time {}",
                    claim.amz_date, format_amz_date(now)));
  }
  return std::nullopt;
}

// What the signature says of the payload. Services other than S3 need not send the hash; then the
// body is read at once and the hash taken from it.
struct Payload {
  std::string hash;
  std::optional<std::string> text;
};

std::variant<Payload, Fault> read_payload(const http::Request& request, const Claim& claim) {
  if (claim.is_presigned) return Payload{std::string(kUnsignedPayload), std::nullopt};
  if (auto hash = request.headers.find("X-Amz-Content-Sha256"); hash && !hash->empty()) {
    return Payload{std::string(*hash), std::nullopt};
  }
  if (claim.is_s3()) return Fault{"InvalidRequest", "Missing required header x-amz-content-sha256"};
  constexpr size_t kMaxBody = 4 << 20;
  auto text = http::read_all(*request.body, kMaxBody);
  if (!text) return to_fault(text.error(), Dialect::json);
  std::string hash = to_hex(sha256(*text));
  return Payload{std::move(hash), std::move(*text)};
}

// How the payload is to be read, once the signature over its hash holds.
using BodyOrFault = std::variant<std::unique_ptr<http::Body>, Fault>;

BodyOrFault streaming_body(const http::Request& request, const Claim& claim,
                           std::string_view payload_hash, const std::string& key) {
  auto text = request.headers.find("X-Amz-Decoded-Content-Length");
  auto length = text ? parse_unsigned(*text) : std::nullopt;
  if (!length) return Fault{"MissingContentLength", "x-amz-decoded-content-length is missing"};
  if (payload_hash == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    return chunked_body(*request.body, length, std::nullopt);
  }
  if (payload_hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" ||
      payload_hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
    return chunked_body(*request.body, length,
                        ChunkSigning{key, claim.amz_date, claim.scope, claim.signature});
  }
  return Fault{"InvalidRequest",
               fmt::format("x-amz-content-sha256 {} is not supported", payload_hash)};
}

BodyOrFault verified_body(const http::Request& request, const Claim& claim, Payload payload,
                          const std::string& key) {
  if (payload.text) return std::make_unique<http::TextBody>(std::move(*payload.text));
  const std::string& payload_hash = payload.hash;
  if (payload_hash.starts_with("STREAMING-")) {
    return streaming_body(request, claim, payload_hash, key);
  }
  if (payload_hash == kUnsignedPayload) {
    if (claim.is_s3()) return plain_body(*request.body);
    return Fault{"InvalidSignatureException", "Only S3 takes an unsigned payload"};
  }
  return hashed_body(*request.body, payload_hash);
}

}  // namespace

std::string payload_hash_of(std::string_view body) {
  return to_hex(sha256(body));
}

void sign(std::string_view method, std::string_view path, std::string_view query,
          http::Headers& headers, const SigningOptions& options) {
  std::string amz_date = format_amz_date(options.time);
  headers.set("X-Amz-Date", amz_date);
  headers.set("X-Amz-Content-Sha256", options.payload_hash);
  if (!options.credentials.session_token.empty()) {
    headers.set("X-Amz-Security-Token", options.credentials.session_token);
  }
  Scope scope{amz_date.substr(0, 8), options.region, options.service};
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) {
    std::string lower = to_lower(name);
    if (lower == "host" || lower == "content-type" || lower.starts_with("x-amz-")) {
      names.push_back(lower);
    }
  }
  std::sort(names.begin(), names.end());
  Canonical request{method, path, query, headers, names, options.payload_hash};
  std::string signature =
      signature_of(request, scope, amz_date, signing_key(options.credentials.secret_key, scope));
  headers.set("Authorization", fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}",
                                           kAlgorithm, options.credentials.access_key, scope.text(),
                                           fmt::join(names, ";"), signature));
}

std::variant<Verified, Fault> verify(const http::Request& request, const FindCredentials& find,
                                     Time now) {
  if (is_sigv2_presigned(request)) return verify_sigv2(request, find, now);
  auto read = read_claim(request);
  if (auto* fault = std::get_if<Fault>(&read)) return *fault;
  const Claim& claim = std::get<Claim>(read);
  if (auto fault = check_time(claim, now)) return *fault;
  if (auto fault = check_headers(request, claim)) return *fault;

  auto credentials = find(claim.access_key);
  if (!credentials) {
    return claim.fault("InvalidAccessKeyId", "UnrecognizedClientException",
                       "The AWS access key Id you provided does not exist in our records.");
  }
  if (!equal_in_constant_time(credentials->session_token, claim.session_token)) {
    return Fault{"InvalidToken", "The security token included in the request is invalid"};
  }

  auto payload_or_fault = read_payload(request, claim);
  if (auto* fault = std::get_if<Fault>(&payload_or_fault)) return *fault;
  Payload& payload = std::get<Payload>(payload_or_fault);

  std::string key = signing_key(credentials->secret_key, claim.scope);
  Canonical canonical{request.method,  request.path,         claim.query,
                      request.headers, claim.signed_headers, payload.hash};
  if (!equal_in_constant_time(signature_of(canonical, claim.scope, claim.amz_date, key),
                              claim.signature)) {
    return claim.fault("SignatureDoesNotMatch", "InvalidSignatureException",
                       "The request signature we calculated does not match the signature you "
                       "provided. Check your key and signing method.");
  }
  Signature signature{claim.access_key, claim.scope.region, claim.scope.service};
  auto body = verified_body(request, claim, std::move(payload), key);
  if (auto* fault = std::get_if<Fault>(&body)) return *fault;
  return Verified{signature, std::move(std::get<std::unique_ptr<http::Body>>(body))};
}

}  // namespace trainyard::aws
