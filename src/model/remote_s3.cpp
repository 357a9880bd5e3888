// SPDX-License-Identifier: Apache-2.0
#include "model/remote_s3.hpp"

#include <fnmatch.h>

namespace trainyard {

const RemoteS3* find_remote(const std::vector<RemoteS3>& remotes, std::string_view bucket) {
  std::string name(bucket);
  for (const RemoteS3& remote : remotes) {
    for (const std::string& pattern : remote.buckets) {
      if (::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) return &remote;
    }
  }
  return nullptr;
}

json::object to_json(const RemoteS3& remote) {
  return {{"name", remote.name},
          {"buckets", json::to_array(remote.buckets)},
          {"endpoint", remote.endpoint},
          {"region", remote.region},
          {"access_key", remote.access_key},
          {"secret_key", remote.secret_key},
          {"session_token", remote.session_token},
          {"is_path_style", remote.is_path_style},
          {"ca_file", remote.ca_file}};
}

Result<RemoteS3> parse_remote(const json::object& document) {
  RemoteS3 remote;
  remote.name = TRY(json::get_string(document, "name"));
  auto buckets = json::find_texts(document, "buckets");
  if (!buckets) return fail(Code::invalid, "member 'buckets' is missing or has the wrong type");
  remote.buckets = *std::move(buckets);
  remote.endpoint = TRY(json::get_string(document, "endpoint"));
  remote.region = TRY(json::get_string(document, "region"));
  remote.access_key = TRY(json::get_string(document, "access_key"));
  remote.secret_key = TRY(json::get_string(document, "secret_key"));
  remote.session_token = TRY(json::get_string(document, "session_token"));
  remote.is_path_style = json::find_bool(document, "is_path_style").value_or(true);
  remote.ca_file = TRY(json::get_string(document, "ca_file"));
  return remote;
}

}  // namespace trainyard
