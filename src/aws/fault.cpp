// SPDX-License-Identifier: Apache-2.0
#include "aws/fault.hpp"

#include <array>

#include "aws/cbor.hpp"
#include "aws/xml.hpp"
#include "base/check.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace trainyard::aws {

namespace {

struct Entry {
  std::string_view code;
  int status;
};

// S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; others: contract.md A.3.
constexpr std::array kTable = {
    Entry{"AccessDenied", 403},
    Entry{"AccessDeniedException", 400},
    Entry{"AuthorizationHeaderMalformed", 400},
    Entry{"AuthorizationQueryParametersError", 400},
    Entry{"BadDigest", 400},
    Entry{"BucketAlreadyOwnedByYou", 409},
    Entry{"BucketNotEmpty", 409},
    Entry{"EntityTooLarge", 400},
    Entry{"EntityTooSmall", 400},
    Entry{"IncompleteBody", 400},
    Entry{"IncompleteSignatureException", 400},
    Entry{"InternalError", 500},
    Entry{"InternalFailure", 500},
    Entry{"InvalidAccessKeyId", 403},
    Entry{"InvalidArgument", 400},
    Entry{"InvalidBucketName", 400},
    Entry{"InvalidDigest", 400},
    Entry{"InvalidPart", 400},
    Entry{"InvalidPartOrder", 400},
    Entry{"InvalidParameterCombination", 400},
    Entry{"InvalidParameterException", 400},
    Entry{"InvalidParameterValue", 400},
    Entry{"InvalidRange", 416},
    Entry{"InvalidRequest", 400},
    Entry{"InvalidSignatureException", 400},
    Entry{"InvalidToken", 400},
    Entry{"KeyTooLongError", 400},
    Entry{"MalformedXML", 400},
    Entry{"MethodNotAllowed", 405},
    Entry{"MissingContentLength", 411},
    Entry{"MissingAuthenticationTokenException", 400},
    Entry{"MissingParameter", 400},
    Entry{"NoSuchBucket", 404},
    Entry{"NoSuchEntity", 404},
    Entry{"NoSuchKey", 404},
    Entry{"NoSuchUpload", 404},
    Entry{"NotImplemented", 400},
    Entry{"PreconditionFailed", 412},
    Entry{"QuotaExceeded", 403},  // as Ceph has it; clients do not repeat a 403
    Entry{"RequestTimeTooSkewed", 403},
    Entry{"RequestTimeout", 400},
    Entry{"ResourceInUse", 400},
    Entry{"ResourceNotFoundException", 400},
    Entry{"ResourceLimitExceeded", 400},
    Entry{"SerializationException", 400},
    Entry{"SignatureDoesNotMatch", 403},
    Entry{"SlowDown", 503},
    Entry{"UnknownOperationException", 400},
    Entry{"UnrecognizedClientException", 400},
    Entry{"ValidationError", 400},
    Entry{"ValidationException", 400},
    Entry{"XAmzContentSHA256Mismatch", 400},
};

}  // namespace

int status_of(std::string_view code) {
  for (const Entry& entry : kTable) {
    if (entry.code == code) return entry.status;
  }
  check_failed("status_of(code)", "every fault code stands in the table", __FILE__, __LINE__);
}

http::Response to_response(const Fault& fault, Dialect dialect, std::string_view resource,
                           std::string_view request_id) {
  http::Response response;
  response.status = status_of(fault.code);
  std::string message = escape_xml(to_valid_utf8(fault.message));
  switch (dialect) {
    case Dialect::json:
      response.headers = {{"Content-Type", "application/x-amz-json-1.1"},
                          {"x-amzn-RequestId", std::string(request_id)}};
      response.body = json::serialize(
          json::object{{"__type", fault.code}, {"message", to_valid_utf8(fault.message)}});
      break;
    case Dialect::query:
      response.headers = {{"Content-Type", "text/xml"},
                          {"x-amzn-RequestId", std::string(request_id)}};
      response.body = fmt::format(
          "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>"
          "<RequestId>{}</RequestId></ErrorResponse>",
          fault.code, message, request_id);
      break;
    case Dialect::cbor:
      response.headers = {{"Content-Type", "application/cbor"},
                          {"smithy-protocol", "rpc-v2-cbor"},
                          {"x-amzn-RequestId", std::string(request_id)}};
      response.body = to_cbor(
          json::object{{"__type", fault.code}, {"message", to_valid_utf8(fault.message)}}, {});
      break;
    case Dialect::s3:
      response.headers = {{"Content-Type", "application/xml"},
                          {"x-amz-request-id", std::string(request_id)}};
      response.body = fmt::format(
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>"
          "<Resource>{}</Resource><RequestId>{}</RequestId></Error>",
          fault.code, message, escape_xml(to_valid_utf8(resource)), request_id);
      break;
  }
  return response;
}

Fault to_fault(const Error& error, Dialect dialect) {
  bool is_s3 = dialect == Dialect::s3;
  switch (error.code) {
    case Code::invalid:
      return {is_s3 ? "InvalidRequest" : "ValidationException", error.message};
    case Code::denied:
      return {is_s3 ? "AccessDenied" : "AccessDeniedException", error.message};
    case Code::exhausted:
      return {is_s3 ? "SlowDown" : "ResourceLimitExceeded", error.message};
    case Code::timeout:
      return {"RequestTimeout", error.message};
    default:
      log::error("request failed", {{"code", name(error.code)}, {"message", error.message}});
      return {is_s3 ? "InternalError" : "InternalFailure",
              "We encountered an internal error. Please try again."};
  }
}

}  // namespace trainyard::aws
