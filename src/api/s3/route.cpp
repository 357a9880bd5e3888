// SPDX-License-Identifier: Apache-2.0
#include "api/s3/route.hpp"

#include <array>

#include "api/s3/actions.hpp"

namespace trainyard::api::s3 {

namespace {

using Action = Reply (*)(const Call&);

enum class Level { service, bucket, object };

// A parameter that must be there ("uploads"), or "" where none of the level's may. The first row
// that fits is taken.
struct Route {
  Level level;
  std::string_view method;
  std::string_view parameter;
  std::string_view header;
  Action action;
};

constexpr std::array kRoutes = {
    Route{Level::service, "GET", "", "", list_buckets},
    Route{Level::bucket, "GET", "location", "", get_bucket_location},
    Route{Level::bucket, "GET", "versioning", "", get_bucket_versioning},
    Route{Level::bucket, "GET", "uploads", "", list_multipart_uploads},
    Route{Level::bucket, "GET", "list-type", "", list_objects_v2},
    Route{Level::bucket, "GET", "", "", list_objects},
    Route{Level::bucket, "HEAD", "", "", head_bucket},
    Route{Level::bucket, "PUT", "", "", create_bucket},
    Route{Level::bucket, "DELETE", "", "", delete_bucket},
    Route{Level::bucket, "POST", "delete", "", delete_objects},
    Route{Level::object, "GET", "uploadId", "", list_parts},
    Route{Level::object, "GET", "tagging", "", get_object_tagging},
    Route{Level::object, "GET", "", "", get_object},
    Route{Level::object, "HEAD", "", "", get_object},
    Route{Level::object, "PUT", "uploadId", "x-amz-copy-source", upload_part_copy},
    Route{Level::object, "PUT", "uploadId", "", upload_part},
    Route{Level::object, "PUT", "tagging", "", put_object_tagging},
    Route{Level::object, "PUT", "", "x-amz-copy-source", copy_object},
    Route{Level::object, "PUT", "", "", put_object},
    Route{Level::object, "POST", "uploads", "", create_multipart_upload},
    Route{Level::object, "POST", "uploadId", "", complete_multipart_upload},
    Route{Level::object, "DELETE", "uploadId", "", abort_multipart_upload},
    Route{Level::object, "DELETE", "tagging", "", delete_object_tagging},
    Route{Level::object, "DELETE", "", "", delete_object},
};

// Parameters that name an action of S3 which is not one of ours.
constexpr std::array<std::string_view, 27> kOtherActions = {"accelerate",
                                                            "acl",
                                                            "analytics",
                                                            "attributes",
                                                            "cors",
                                                            "encryption",
                                                            "intelligent-tiering",
                                                            "inventory",
                                                            "legal-hold",
                                                            "lifecycle",
                                                            "logging",
                                                            "metrics",
                                                            "notification",
                                                            "object-lock",
                                                            "ownershipControls",
                                                            "policy",
                                                            "policyStatus",
                                                            "publicAccessBlock",
                                                            "replication",
                                                            "requestPayment",
                                                            "restore",
                                                            "retention",
                                                            "select",
                                                            "torrent",
                                                            "versions",
                                                            "website",
                                                            "partNumber"};

Level level_of(const Call& call) {
  if (call.bucket.empty()) return Level::service;
  return call.key.empty() ? Level::bucket : Level::object;
}

Reply run(const Call& call) {
  for (const Route& route : kRoutes) {
    if (route.level != level_of(call) || route.method != call.request.method) continue;
    if (!route.parameter.empty() && !call.parameter(std::string(route.parameter))) continue;
    if (!route.header.empty() && !call.header(route.header)) continue;
    if (route.parameter.empty()) {
      for (std::string_view other : kOtherActions) {
        if (call.parameter(std::string(other))) {
          return objects::refuse("NotImplemented", fmt::format("The {} of '?{}' is not supported",
                                                               call.request.method, other));
        }
      }
    }
    return route.action(call);
  }
  return objects::refuse("MethodNotAllowed",
                         "The specified method is not allowed against this resource.");
}

}  // namespace

http::Response handle(const http::Request& request, http::Body& body, objects::ObjectStore& store,
                      const std::string& region, const std::string& request_id) {
  auto refuse = [&](const aws::Fault& fault) {
    return aws::to_response(fault, aws::Dialect::s3, request.path, request_id);
  };
  auto target = parse_target(request.headers.get("Host"), request.path);
  auto parameters = request.query_parameters();
  if (!target || !parameters) return refuse({"InvalidArgument", "The URL is malformed"});
  Call call{request,
            body,
            store,
            region,
            std::move(target->bucket),
            std::move(target->key),
            {parameters->begin(), parameters->end()}};
  Reply reply = run(call);
  if (!reply) return refuse(reply.error());
  reply->headers.add("x-amz-request-id", request_id);
  return *std::move(reply);
}

}  // namespace trainyard::api::s3
