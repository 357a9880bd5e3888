// SPDX-License-Identifier: Apache-2.0
#include "aws/sigv4.hpp"

#include <gtest/gtest.h>

#include "aws/get_signer.hpp"
#include "base/text.hpp"

namespace trainyard::aws {

namespace {

const Credentials kKey{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};

// Requests as botocore 1.x signed them at 2026-11-24T03:56:35Z.
struct Signed {
  http::TextBody body;
  http::Request request;
  Time now = parse_amz_date("20261124T035635Z").value();

  explicit Signed(std::string text) : body(std::move(text)) { request.body = &body; }

  std::string outcome(const Credentials& known = kKey) {
    auto find = [&](std::string_view key) -> std::optional<Credentials> {
      if (key != known.access_key) return std::nullopt;
      return known;
    };
    auto result = verify(request, find, now);
    if (auto* fault = std::get_if<Fault>(&result)) return fault->code;
    auto read = http::read_all(*std::get<Verified>(result).body, 1 << 20);
    return read ? "ok " + *read : read.error().message;
  }
};

Signed s3_put(std::string text = "hello") {
  Signed call(std::move(text));
  call.request.body = nullptr;
  call.request.method = "PUT";
  call.request.path = "/b/a%20b/%C3%A9";
  call.request.query = "tagging=&x=1%2F2";
  call.request.headers = {
      {"Host", "127.0.0.1:4600"},
      {"X-Amz-Date", "20261124T035635Z"},
      {"X-Amz-Content-SHA256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
      {"Authorization",
       "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-west-2/s3/aws4_request, "
       "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
       "Signature=f1264343e12c84dda02352c565a073581822a9c6af5911de0e31c0632efb528f"}};
  return call;
}

Signed json_post() {
  Signed call("{}");
  call.request.method = "POST";
  call.request.path = "/";
  call.request.headers = {
      {"Host", "127.0.0.1:4600"},
      {"Content-Type", "application/x-amz-json-1.1"},
      {"X-Amz-Target", "SageMaker.ListTrainingJobs"},
      {"X-Amz-Date", "20261124T035635Z"},
      {"Authorization",
       "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-west-2/sagemaker/aws4_request, "
       "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
       "Signature=42d3252f9804b8e68dae119ca4e61d407e34a86c3bbb50495e31580ee8716ffa"}};
  return call;
}

// The body lives in the Signed it was made with, so it is connected after the last move.
std::string outcome(Signed call, const Credentials& known = kKey) {
  call.request.body = &call.body;
  return call.outcome(known);
}

}  // namespace

TEST(SigV4, what_botocore_signed_is_accepted) {
  EXPECT_EQ(outcome(s3_put()), "ok hello");
  EXPECT_EQ(outcome(json_post()), "ok {}");
}

TEST(SigV4, our_own_signature_equals_botocores) {
  http::Headers headers{{"Host", "127.0.0.1:4600"}};
  Signed golden = s3_put();
  SigningOptions options;
  options.credentials = kKey;
  options.region = "us-west-2";
  options.service = "s3";
  options.time = golden.now;
  options.payload_hash = golden.request.headers.get("x-amz-content-sha256");
  sign("PUT", golden.request.path, golden.request.query, headers, options);
  EXPECT_EQ(headers.get("Authorization"), golden.request.headers.get("Authorization"));
}

TEST(SigV4, a_change_anywhere_breaks_the_signature) {
  Signed call = s3_put();
  call.request.path = "/b/other";
  EXPECT_EQ(outcome(std::move(call)), "SignatureDoesNotMatch");
  call = s3_put();
  call.request.query = "x=1%2F2";
  EXPECT_EQ(outcome(std::move(call)), "SignatureDoesNotMatch");
  call = s3_put();
  call.request.method = "DELETE";
  EXPECT_EQ(outcome(std::move(call)), "SignatureDoesNotMatch");
  EXPECT_EQ(outcome(s3_put("hellO")), "the body does not match its x-amz-content-sha256");
  call = json_post();
  call.body = http::TextBody("{} ");
  EXPECT_EQ(outcome(std::move(call)), "InvalidSignatureException");
}

TEST(SigV4, headers_that_matter_must_be_signed) {
  Signed call = s3_put();
  call.request.headers.add("x-amz-copy-source", "/b/secret");
  EXPECT_EQ(outcome(std::move(call)), "AccessDenied");
}

TEST(SigV4, the_clock_may_differ_by_fifteen_minutes) {
  for (auto [minutes, expected] :
       {std::pair{15, "ok hello"}, std::pair{-15, "ok hello"},
        std::pair{16, "RequestTimeTooSkewed"}, std::pair{-16, "RequestTimeTooSkewed"}}) {
    Signed call = s3_put();
    call.now += std::chrono::minutes(minutes);
    EXPECT_EQ(outcome(std::move(call)), expected) << minutes;
  }
}

TEST(SigV4, unknown_keys_wrong_secrets_and_tokens_are_refused) {
  EXPECT_EQ(outcome(s3_put(), {"OTHER", kKey.secret_key, ""}), "InvalidAccessKeyId");
  EXPECT_EQ(outcome(json_post(), {"OTHER", kKey.secret_key, ""}), "UnrecognizedClientException");
  EXPECT_EQ(outcome(s3_put(), {kKey.access_key, "wrong", ""}), "SignatureDoesNotMatch");
  EXPECT_EQ(outcome(s3_put(), {kKey.access_key, kKey.secret_key, "token"}), "InvalidToken");
}

TEST(SigV4, malformed_authorization_is_a_clear_fault) {
  for (std::string_view text :
       {"", "Basic abc", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b",
        "AWS4-HMAC-SHA256 ,,=,Credential=////"}) {
    Signed call = s3_put();
    call.request.headers.set("Authorization", text);
    EXPECT_EQ(outcome(std::move(call)), "AuthorizationHeaderMalformed") << text;
  }
  Signed call = s3_put();
  call.request.headers = {{"Host", "h"}};
  EXPECT_EQ(outcome(std::move(call)), "AccessDenied");
  Signed api = json_post();
  api.request.headers = {{"Host", "h"}, {"X-Amz-Target", "SageMaker.ListTrainingJobs"}};
  EXPECT_EQ(outcome(std::move(api)), "MissingAuthenticationTokenException");
}

const std::string kPresignedQuery =
    "versionId=x&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261124%2F"
    "us-west-2%2Fs3%2Faws4_request&X-Amz-Date=20261124T035635Z&X-Amz-Expires=600"
    "&X-Amz-SignedHeaders=host&X-Amz-Signature="
    "cd03b8cc79d0380ae895bac3ba518ab9cae09c1ca1c0ed99cdbe61c6da0897c0";

Signed presigned_get() {
  Signed call("");
  call.request.method = "GET";
  call.request.path = "/b/a%20b/%C3%A9";
  call.request.query = kPresignedQuery;
  call.request.headers = {{"Host", "127.0.0.1:4600"}};
  return call;
}

TEST(SigV4, a_presigned_url_of_botocore_holds_until_it_expires) {
  EXPECT_EQ(outcome(presigned_get()), "ok ");
  Signed late = presigned_get();
  late.now += std::chrono::seconds(601);
  EXPECT_EQ(outcome(std::move(late)), "AccessDenied");
  Signed other = presigned_get();
  other.request.path = "/b/other";
  EXPECT_EQ(outcome(std::move(other)), "SignatureDoesNotMatch");
  Signed broken = presigned_get();
  broken.request.query = "X-Amz-Signature=1";
  EXPECT_EQ(outcome(std::move(broken)), "AuthorizationQueryParametersError");
}

// The example of the S3 API Reference, "Signature calculations: transferring payload in multiple
// chunks".
Signed chunked_put(std::string_view first_signature) {
  std::string body =
      fmt::format("10000;chunk-signature={}\r\n{}\r\n", first_signature, std::string(65536, 'a'));
  body += fmt::format(
      "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
      "{}\r\n",
      std::string(1024, 'a'));
  body +=
      "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
      "\r\n\r\n";
  Signed call(body);
  call.now = parse_amz_date("20130524T000000Z").value();
  call.request.method = "PUT";
  call.request.path = "/examplebucket/chunkObject.txt";
  call.request.headers = {
      {"Host", "s3.amazonaws.com"},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"Content-Encoding", "aws-chunked"},
      {"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
      {"x-amz-decoded-content-length", "66560"},
      {"Content-Length", "66824"},
      {"Authorization",
       "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
       "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
       "x-amz-decoded-content-length;x-amz-storage-class,"
       "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"}};
  return call;
}

const Credentials kDocumentedKey{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                 ""};

TEST(SigV4, signed_chunks_are_checked_one_by_one) {
  std::string right = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";
  EXPECT_EQ(outcome(chunked_put(right), kDocumentedKey), "ok " + std::string(66560, 'a'));
  EXPECT_EQ(outcome(chunked_put(std::string(64, '0')), kDocumentedKey),
            "the signature of a chunk does not match");
}

TEST(Fault, each_dialect_carries_code_and_message) {
  Fault fault{"NoSuchKey", "no <key> \x01"};
  auto s3 = to_response(fault, Dialect::s3, "/b/k", "id-1");
  EXPECT_EQ(s3.status, 404);
  EXPECT_NE(std::get<std::string>(s3.body).find("<Message>no &lt;key&gt; &#x1;</Message>"),
            std::string::npos);
  auto json = to_response({"ResourceInUse", "taken"}, Dialect::json, "/", "id-2");
  EXPECT_EQ(std::get<std::string>(json.body), R"({"__type":"ResourceInUse","message":"taken"})");
  EXPECT_EQ(json.status, 400);
}

TEST(Fault, a_client_that_stalls_or_leaves_early_is_never_answered_5xx) {
  for (Dialect dialect : {Dialect::json, Dialect::query, Dialect::cbor, Dialect::s3}) {
    for (Code code : {Code::timeout, Code::invalid, Code::exhausted, Code::denied}) {
      if (dialect == Dialect::s3 && code == Code::exhausted) continue;  // SlowDown is 503 on S3
      EXPECT_LT(status_of(to_fault({code, "m"}, dialect).code), 500) << name(code);
    }
  }
}

TEST(Fault, internal_errors_keep_their_text_to_themselves) {
  Fault fault = to_fault({Code::internal, "secret path"}, Dialect::s3);
  EXPECT_EQ(fault.code, "InternalError");
  EXPECT_EQ(fault.message.find("secret"), std::string::npos);
}

TEST(GetSigner, signs_as_the_general_signer_does) {
  for (std::string token : {"", "a session/token="}) {
    Credentials credentials = kKey;
    credentials.session_token = token;
    GetSigner signer(credentials, "us-west-2");
    for (const char* date : {"20261124T035635Z", "20261125T000000Z", "20261124T235959Z"}) {
      SigningOptions options{credentials, "us-west-2", "s3", parse_amz_date(date).value()};
      for (std::string path : {"/bucket/key", "/bucket/a/%C3%A9%20%2B%25//..%3F"}) {
        http::Headers headers{{"Host", "store:4600"}, {"x-amz-checksum-mode", "ENABLED"}};
        sign("GET", path, "", headers, options);
        std::string lines = signer.sign("GET", "store:4600", path, options.time);
        EXPECT_NE(
            lines.find(fmt::format("\r\nAuthorization: {}\r\n", headers.get("Authorization"))),
            lines.npos)
            << lines;
        EXPECT_EQ(lines.find("x-amz-security-token: ") == lines.npos, token.empty());
      }
    }
  }
}

}  // namespace trainyard::aws
