// SPDX-License-Identifier: Apache-2.0
#include "transfer/s3_access.hpp"

#include "base/text.hpp"

namespace trainyard::transfer {

S3Access access_of(const RemoteS3& remote) {
  return {remote.endpoint,
          remote.region,
          {remote.access_key, remote.secret_key, remote.session_token},
          remote.is_path_style,
          remote.ca_file};
}

json::object to_json(const S3Access& access) {
  return {{"endpoint", access.endpoint},
          {"region", access.region},
          {"access_key", access.credentials.access_key},
          {"secret_key", access.credentials.secret_key},
          {"session_token", access.credentials.session_token},
          {"is_path_style", access.is_path_style},
          {"ca_file", access.ca_file},
          {"is_own_store", access.is_own_store}};
}

Result<S3Access> parse_s3_access(const json::object& document) {
  S3Access access;
  access.endpoint = TRY(json::get_string(document, "endpoint"));
  access.region = TRY(json::get_string(document, "region"));
  access.credentials.access_key = TRY(json::get_string(document, "access_key"));
  access.credentials.secret_key = TRY(json::get_string(document, "secret_key"));
  access.credentials.session_token = TRY(json::get_string(document, "session_token"));
  access.is_path_style = json::find_bool(document, "is_path_style").value_or(true);
  access.ca_file = json::find_string(document, "ca_file").value_or("");
  access.is_own_store = json::find_bool(document, "is_own_store").value_or(false);
  return access;
}

RequestTarget target_of(const S3Access& access, const S3Uri& object) {
  std::string_view endpoint = access.endpoint;
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  size_t at = endpoint.find("://");
  RequestTarget target;
  target.scheme = at == endpoint.npos ? "http" : std::string(endpoint.substr(0, at));
  std::string_view rest = at == endpoint.npos ? endpoint : endpoint.substr(at + 3);
  size_t slash = rest.find('/');
  target.host = std::string(rest.substr(0, slash));
  if (slash != rest.npos) target.path = std::string(rest.substr(slash));
  if (!object.bucket.empty() && access.is_path_style)
    target.path += "/" + percent_encode(object.bucket);
  else if (!object.bucket.empty())
    target.host = object.bucket + "." + target.host;
  if (!object.key.empty()) target.path += "/" + percent_encode(object.key, true);
  if (target.path.empty()) target.path = "/";
  return target;
}

}  // namespace trainyard::transfer
