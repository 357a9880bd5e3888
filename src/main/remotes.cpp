// SPDX-License-Identifier: Apache-2.0
#include "main/remotes.hpp"

#include <toml++/toml.h>

#include <cstdlib>
#include <map>

namespace trainyard {

namespace {

Result<std::string> text_of(const toml::node& node, std::string_view key) {
  auto text = node.value_exact<std::string>();
  if (!text) return fail(Code::invalid, "{} is a text", key);
  constexpr std::string_view kVariable = "env:";
  if (!text->starts_with(kVariable)) return *text;
  std::string name = text->substr(kVariable.size());
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return fail(Code::invalid, "{}: the variable {} is not set", key, name);
  return value;
}

Result<std::vector<std::string>> buckets_of(const toml::node& node) {
  std::vector<std::string> buckets;
  const toml::array* list = node.as_array();
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    buckets.push_back(TRY(text_of(*list->get(i), "buckets")));
  }
  if (buckets.empty()) return fail(Code::invalid, "buckets is a list of names or patterns");
  return buckets;
}

Result<> set_member(RemoteS3& remote, std::string_view key, const toml::node& node) {
  const std::map<std::string_view, std::string*> texts = {
      {"endpoint", &remote.endpoint},     {"region", &remote.region},
      {"access_key", &remote.access_key}, {"secret_key", &remote.secret_key},
      {"ca_file", &remote.ca_file},       {"session_token", &remote.session_token}};
  if (auto text = texts.find(key); text != texts.end()) {
    *text->second = TRY(text_of(node, key));
    return {};
  }
  if (key == "buckets") {
    remote.buckets = TRY(buckets_of(node));
    return {};
  }
  if (key != "path_style") {
    return fail(Code::invalid,
                "'{}' is no member; there are buckets, endpoint, region, access_key, secret_key, "
                "session_token, path_style, ca_file",
                key);
  }
  auto flag = node.value_exact<bool>();
  if (!flag) return fail(Code::invalid, "path_style is true or false");
  remote.is_path_style = *flag;
  return {};
}

Result<RemoteS3> parse_remote(std::string name, const toml::node& node) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return fail(Code::invalid, "it is no table");
  RemoteS3 remote;
  remote.name = std::move(name);
  remote.region = "us-east-1";
  // AWS has the bucket in the host's name, other services mostly in the path.
  remote.is_path_style = table->contains("endpoint");
  for (const auto& [key, value] : *table) TRY(set_member(remote, key.str(), value));
  if (remote.endpoint.empty()) remote.endpoint = "https://s3." + remote.region + ".amazonaws.com";
  if (!remote.endpoint.starts_with("http://") && !remote.endpoint.starts_with("https://")) {
    return fail(Code::invalid, "endpoint begins with http:// or https://, not '{}'",
                remote.endpoint);
  }
  if (remote.buckets.empty()) return fail(Code::invalid, "buckets is missing");
  if (remote.access_key.empty() != remote.secret_key.empty()) {
    return fail(Code::invalid, "access_key and secret_key go together");
  }
  return remote;
}

}  // namespace

Result<std::vector<RemoteS3>> read_remotes(const fs::path& file) {
  std::string text = TRY(read_file(file));
  toml::table root;
  try {
    root = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    return fail(Code::invalid, "{}: {}", file.string(), error.description());
  }
  std::vector<RemoteS3> remotes;
  const toml::table* s3 = root["s3"].as_table();
  if (s3 == nullptr) return remotes;
  for (const auto& [key, node] : *s3) {
    if (key.str() != "remotes" || !node.is_table()) {
      return fail(Code::invalid, "{}: [s3] has the tables [s3.remotes.<name>] only, not '{}'",
                  file.string(), key.str());
    }
    for (const auto& [name, table] : *node.as_table()) {
      auto remote = parse_remote(std::string(name.str()), table);
      std::string where = fmt::format("{}: [s3.remotes.{}]", file.string(), name.str());
      if (!remote) return Failure(std::move(remote).error().within(where));
      remotes.push_back(std::move(*remote));
    }
  }
  return remotes;
}

std::string remotes_example() {
  return R"(# Buckets that live elsewhere; they work as channels, outputs and checkpoints.
# [s3.remotes.aws]
# buckets = ["company-data", "team-*"]      # names or patterns
# region = "eu-west-1"
# access_key = "env:DATA_ACCESS_KEY"        # from the service's environment; left out: not signed
# secret_key = "env:DATA_SECRET_KEY"
#
# [s3.remotes.minio]
# buckets = ["lake"]
# endpoint = "https://minio.example.com"    # left out: AWS, https://s3.<region>.amazonaws.com
# access_key = "…"
# secret_key = "…"
# path_style = true                         # false: https://lake.minio.example.com/key
# ca_file = "/etc/ssl/minio.pem"            # left out: the system's certificates
)";
}

}  // namespace trainyard
