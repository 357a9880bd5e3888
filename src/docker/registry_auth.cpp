// SPDX-License-Identifier: Apache-2.0
#include "docker/registry_auth.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/subprocess.hpp"
#include "base/text.hpp"

namespace trainyard::docker {

namespace {

// RFC 4648 section 5, with padding, as the daemon reads it.
std::string to_url_base64(std::string_view bytes) {
  std::string text = to_base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

// The keys under which a registry may be filed.
std::vector<std::string> names_of(const std::string& registry) {
  if (registry == "docker.io") {
    return {"https://index.docker.io/v1/", "index.docker.io", "docker.io"};
  }
  return {registry, "https://" + registry, "http://" + registry, "https://" + registry + "/"};
}

std::string header(const std::string& server, const std::string& user, const std::string& secret) {
  // A credential program says so that its secret is a token.
  bool is_token = user == "<token>";
  json::object document{{"serveraddress", server}};
  if (is_token) {
    document["identitytoken"] = secret;
  } else {
    document["username"] = user;
    document["password"] = secret;
  }
  return to_url_base64(json::serialize(document));
}

std::string header_of_entry(const std::string& server, const json::object& entry) {
  if (auto token = json::find_string(entry, "identitytoken"); token && !token->empty()) {
    return header(server, "<token>", *token);
  }
  auto encoded = json::find_string(entry, "auth");
  auto decoded = encoded ? from_base64(*encoded) : std::nullopt;
  size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) return "";
  return header(server, decoded->substr(0, colon), decoded->substr(colon + 1));
}

// The program that keeps this registry's secret; "" when it is in the file itself.
std::string helper_of(const json::object& config, const std::string& registry) {
  if (const json::object* helpers = json::find_object(config, "credHelpers")) {
    for (const std::string& name : names_of(registry)) {
      if (auto helper = json::find_string(*helpers, name)) return *helper;
    }
  }
  return json::find_string(config, "credsStore").value_or("");
}

// https://github.com/docker/docker-credential-helpers: the server on stdin, JSON on stdout.
Result<std::string> ask_helper(const std::string& helper, const std::string& server) {
  Command command;
  command.arguments = {"sh", "-c",   "printf %s \"$2\" | \"docker-credential-$1\" get",
                       "sh", helper, server};
  command.timeout = std::chrono::seconds(60);
  Ended ended = TRY(run(command));
  if (ended.output.find("credentials not found") != std::string::npos) return std::string();
  auto answer = json::parse_object(trim(ended.output));
  auto user = answer ? json::find_string(*answer, "Username") : std::nullopt;
  auto secret = answer ? json::find_string(*answer, "Secret") : std::nullopt;
  if (ended.exit_code == 0 && user && secret) return header(server, *user, *secret);
  // Its output may hold half a secret.
  return fail(Code::denied, "docker-credential-{} gave no password for {} (exit code {})", helper,
              server, ended.exit_code);
}

}  // namespace

fs::path registry_config_file() {
  if (const char* folder = std::getenv("DOCKER_CONFIG")) return fs::path(folder) / "config.json";
  const char* home = std::getenv("HOME");
  return home == nullptr ? fs::path() : fs::path(home) / ".docker/config.json";
}

std::string auth_in(const json::object& config, const std::string& registry) {
  const json::object* entries = json::find_object(config, "auths");
  if (entries == nullptr) return "";
  for (const std::string& name : names_of(registry)) {
    const json::object* entry = json::find_object(*entries, name);
    std::string found = entry == nullptr ? "" : header_of_entry(name, *entry);
    if (!found.empty()) return found;
  }
  return "";
}

Result<std::string> registry_auth(const fs::path& config_file, const std::string& registry) {
  std::error_code error;
  if (config_file.empty() || !fs::exists(config_file, error)) return std::string();
  auto text = TRY(read_file(config_file, 4 << 20));
  auto config = json::parse_object(text);
  if (!config) return fail(Code::invalid, "{}: {}", config_file.string(), config.error().message);
  std::string kept = auth_in(*config, registry);
  std::string helper = helper_of(*config, registry);
  if (!kept.empty() || helper.empty()) return kept;
  bool is_name = helper.find_first_of("/ ") == std::string::npos;
  if (!is_name) return fail(Code::invalid, "{}: bad helper name", config_file.string());
  return ask_helper(helper, names_of(registry).front());
}

}  // namespace trainyard::docker
