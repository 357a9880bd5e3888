// SPDX-License-Identifier: Apache-2.0
#include "api/s3/actions.hpp"

namespace trainyard::api::s3 {

Reply list_buckets(const Call& call) {
  aws::XmlWriter xml;
  xml.open("ListAllMyBucketsResult", kNamespace);
  xml.open("Owner").add("ID", "trainyard").add("DisplayName", "trainyard").close();
  xml.open("Buckets");
  for (const objects::Bucket& bucket : TRY(call.store.buckets())) {
    xml.open("Bucket").add("Name", bucket.name);
    xml.add("CreationDate", format_iso8601(bucket.created)).close();
  }
  xml.close().close();
  return xml_response(std::move(xml));
}

Reply create_bucket(const Call& call) {
  TRY(call.store.create_bucket(call.bucket));
  http::Response response = empty_response(200);
  response.headers.add("Location", "/" + call.bucket);
  return response;
}

Reply head_bucket(const Call& call) {
  TRY(call.store.check_bucket(call.bucket));
  http::Response response = empty_response(200);
  response.headers.add("x-amz-bucket-region", call.region);
  return response;
}

Reply delete_bucket(const Call& call) {
  TRY(call.store.remove_bucket(call.bucket));
  return empty_response(204);
}

Reply get_bucket_location(const Call& call) {
  TRY(call.store.check_bucket(call.bucket));
  // us-east-1 is the empty constraint: GetBucketLocation, LocationConstraint.
  std::string constraint = call.region == "us-east-1" ? "" : call.region;
  http::Response response{200, {{"Content-Type", "application/xml"}}, {}};
  response.body = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
      "xmlns=\"{}\">{}</LocationConstraint>",
      kNamespace, aws::escape_xml(constraint));
  return response;
}

Reply get_bucket_versioning(const Call& call) {
  TRY(call.store.check_bucket(call.bucket));
  aws::XmlWriter xml;
  xml.open("VersioningConfiguration", kNamespace).close();
  return xml_response(std::move(xml));
}

}  // namespace trainyard::api::s3
