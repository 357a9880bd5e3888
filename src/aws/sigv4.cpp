// SPDX-License-Identifier: Apache-2.0
#include "aws/sigv4.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"

namespace trainyard::aws {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::chrono::minutes kMaxSkew{15};

std::string sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_sha256(), nullptr);
  return digest;
}

std::string hmac(std::string_view key, std::string_view text) {
  std::string digest(32, '\0');
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

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

struct Scope {
  std::string date;  // "20261124"
  std::string region;
  std::string service;
  std::string text() const { return fmt::format("{}/{}/{}/aws4_request", date, region, service); }
};

struct Canonical {
  std::string_view method;
  std::string_view path;
  std::string_view query;
  const http::Headers& headers;
  std::vector<std::string> signed_headers;  // lower case, sorted
  std::string_view payload_hash;
};

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

std::string signature_of(const Canonical& request, const Scope& scope, std::string_view amz_date,
                         std::string_view secret_key) {
  std::string key = hmac(fmt::format("AWS4{}", secret_key), scope.date);
  key = hmac(hmac(hmac(key, scope.region), scope.service), "aws4_request");
  std::string text =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, amz_date, scope.text(),
                  to_hex(sha256(canonical_request(request, scope.service))));
  return to_hex(hmac(key, text));
}

bool must_be_signed(std::string_view lower_name) {
  return lower_name == "host" || lower_name == "content-type" || lower_name.starts_with("x-amz-");
}

// The three parts of "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…".
struct Authorization {
  std::string access_key;
  Scope scope;
  std::vector<std::string> signed_headers;
  std::string signature;
};

std::optional<Authorization> parse_authorization(std::string_view text) {
  if (!text.starts_with(kAlgorithm)) return std::nullopt;
  std::map<std::string_view, std::string_view> fields;
  for (std::string_view piece : split(text.substr(kAlgorithm.size()), ',')) {
    piece = trim(piece);
    size_t equals = piece.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    fields[piece.substr(0, equals)] = piece.substr(equals + 1);
  }
  auto credential = split(fields["Credential"], '/');
  if (credential.size() != 5 || credential[4] != "aws4_request") return std::nullopt;
  Authorization result;
  result.access_key = credential[0];
  result.scope = {std::string(credential[1]), std::string(credential[2]),
                  std::string(credential[3])};
  for (std::string_view name : split(fields["SignedHeaders"], ';')) {
    result.signed_headers.emplace_back(name);
  }
  result.signature = fields["Signature"];
  return result;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Checks the payload against the hash that was signed.
class HashedBody : public http::Body {
 public:
  HashedBody(http::Body& body, std::string_view expected)
      : body_(body), expected_(expected), digest_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr);
  }

  Result<size_t> read(std::span<char> buffer) override {
    if (is_finished_) return 0;
    size_t count = TRY(body_.read(buffer));
    if (count > 0) {
      EVP_DigestUpdate(digest_.get(), buffer.data(), count);
      return count;
    }
    is_finished_ = true;
    std::string actual(32, '\0');
    EVP_DigestFinal_ex(digest_.get(), reinterpret_cast<unsigned char*>(actual.data()), nullptr);
    if (to_hex(actual) != expected_) {
      return fail(Code::invalid, "the body does not match its x-amz-content-sha256");
    }
    return 0;
  }

  std::optional<uint64_t> length() const override { return body_.length(); }

 private:
  http::Body& body_;
  std::string expected_;
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest_;
  bool is_finished_ = false;
};

class PlainBody : public http::Body {
 public:
  explicit PlainBody(http::Body& body) : body_(body) {}
  Result<size_t> read(std::span<char> buffer) override { return body_.read(buffer); }
  std::optional<uint64_t> length() const override { return body_.length(); }

 private:
  http::Body& body_;
};

Fault fault_for(bool is_s3, std::string_view s3_code, std::string_view code, std::string message) {
  return Fault{std::string(is_s3 ? s3_code : code), std::move(message)};
}

std::optional<Fault> check_headers(const http::Request& request, const Authorization& claim,
                                   bool is_s3) {
  for (const auto& [name, value] : request.headers) {
    std::string lower = to_lower(name);
    if (lower != "host" && !lower.starts_with("x-amz-")) continue;
    if (std::find(claim.signed_headers.begin(), claim.signed_headers.end(), lower) ==
        claim.signed_headers.end()) {
      return fault_for(is_s3, "AccessDenied", "IncompleteSignatureException",
                       fmt::format("There were headers present in the request which were not "
                                   "signed: {}",
                                   lower));
    }
  }
  return std::nullopt;
}

std::optional<Fault> check_time(std::string_view amz_date, const Scope& scope, Time now,
                                bool is_s3) {
  auto sent = parse_amz_date(amz_date);
  if (!sent || amz_date.substr(0, 8) != scope.date) {
    return fault_for(is_s3, "AccessDenied", "IncompleteSignatureException",
                     "X-Amz-Date is missing, malformed, or of another day than the credential");
  }
  if (*sent > now + kMaxSkew || *sent < now - kMaxSkew) {
    return fault_for(is_s3, "RequestTimeTooSkewed", "InvalidSignatureException",
                     fmt::format("Signature expired or not yet current: {} is more than 15 minutes "
                                 "from the server's time {}",
                                 amz_date, format_amz_date(now)));
  }
  return std::nullopt;
}

}  // namespace

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
    if (must_be_signed(to_lower(name))) names.push_back(to_lower(name));
  }
  std::sort(names.begin(), names.end());
  Canonical request{method, path, query, headers, names, options.payload_hash};
  std::string signature = signature_of(request, scope, amz_date, options.credentials.secret_key);
  headers.set("Authorization",
              fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                          options.credentials.access_key, scope.text(), fmt::join(names, ";"),
                          signature));
}

std::variant<Verified, Fault> verify(const http::Request& request, const FindCredentials& find,
                                     Time now) {
  auto header = request.headers.find("Authorization");
  auto claim = header ? parse_authorization(*header) : std::nullopt;
  if (!header) return Fault{"AccessDenied", "The request is not signed"};
  if (!claim) {
    return Fault{"AuthorizationHeaderMalformed", "The Authorization header is no SigV4 signature"};
  }
  bool is_s3 = claim->scope.service == "s3";
  std::string_view amz_date = request.headers.get("X-Amz-Date");
  if (auto fault = check_time(amz_date, claim->scope, now, is_s3)) return *fault;
  if (auto fault = check_headers(request, *claim, is_s3)) return *fault;

  auto credentials = find(claim->access_key);
  if (!credentials) {
    return fault_for(is_s3, "InvalidAccessKeyId", "UnrecognizedClientException",
                     "The AWS access key Id you provided does not exist in our records.");
  }
  if (!equal_in_constant_time(credentials->session_token,
                              request.headers.get("X-Amz-Security-Token"))) {
    return Fault{"InvalidToken", "The security token included in the request is invalid"};
  }
  std::string payload_hash(request.headers.get("X-Amz-Content-Sha256"));
  if (payload_hash.starts_with("STREAMING-")) {
    return Fault{"InvalidRequest", "aws-chunked uploads are not supported"};
  }
  bool is_unsigned = payload_hash == kUnsignedPayload;
  std::unique_ptr<http::Body> body = std::make_unique<PlainBody>(*request.body);
  if (payload_hash.empty()) {
    // Services other than S3 need not send the hash; then it is taken from the body itself.
    if (is_s3) return Fault{"InvalidRequest", "Missing required header x-amz-content-sha256"};
    constexpr size_t kMaxBody = 4 << 20;
    auto text = http::read_all(*request.body, kMaxBody);
    if (!text) return to_fault(text.error(), Dialect::json);
    payload_hash = to_hex(sha256(*text));
    body = std::make_unique<http::TextBody>(std::move(*text));
  } else if (!is_unsigned) {
    body = std::make_unique<HashedBody>(*request.body, payload_hash);
  }
  Canonical canonical{request.method,  request.path,          request.query,
                      request.headers, claim->signed_headers, payload_hash};
  if (!equal_in_constant_time(
          signature_of(canonical, claim->scope, amz_date, credentials->secret_key),
          claim->signature)) {
    return fault_for(is_s3, "SignatureDoesNotMatch", "InvalidSignatureException",
                     "The request signature we calculated does not match the signature you "
                     "provided. Check your key and signing method.");
  }
  return Verified{{claim->access_key, claim->scope.region, claim->scope.service}, std::move(body)};
}

}  // namespace trainyard::aws
