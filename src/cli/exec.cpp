// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/foreground.hpp"
#include "cli/sdk_config.hpp"
#include "proxy/proxy.hpp"

namespace trainyard::cli {

namespace {

using Variables = std::map<std::string, std::string>;  // "" is: not set

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Certificates and defaults of one run, for as long as it lasts.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> make() {
    std::error_code error;
    fs::path path = fs::temp_directory_path(error) / ("trainyard-exec-" + random_hex(8));
    TRY(make_directories(path, 0755));
    return TemporaryFolder(std::move(path));
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    if (!path_.empty()) static_cast<void>(remove_tree(path_));
  }
  const fs::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// One key per installation: beside a service of this machine, else beside the user's own state.
fs::path authority_folder(const Access& access) {
  if (!access.data_dir.empty()) return fs::path(access.data_dir) / "authority";
  std::string state = variable("XDG_STATE_HOME");
  if (state.empty()) state = variable("HOME") + "/.local/state";
  return fs::path(state) / "trainyard";
}

// The public roots that programs would use without us: those that the environment names, else the
// system's, else those that Python's certifi package has.
std::string public_roots() {
  std::string roots;
  std::vector<std::string> seen;
  for (const char* name :
       {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    std::string file = variable(name);
    if (file.empty() || std::find(seen.begin(), seen.end(), file) != seen.end()) continue;
    seen.push_back(file);
    roots += read_file(file).value_or("") + "\n";
  }
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt",  // Debian
                           "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    if (std::find(seen.begin(), seen.end(), file) != seen.end()) return roots;
    auto text = read_file(file);
    if (text) return roots + *text + "\n";
  }
  Command certifi;
  certifi.arguments = {"python3", "-m", "certifi"};
  certifi.timeout = std::chrono::seconds(20);
  auto asked = trainyard::run(certifi);
  if (asked && asked->exit_code == 0) {
    roots += read_file(std::string(trim(asked->output))).value_or("") + "\n";
  }
  if (roots.size() < 2) log::warn("no public root certificates are found; other hosts may fail");
  return roots;
}

// The SDK merges an administrator's defaults and a user's over them: ours take a place where they
// replace nobody's.
std::string free_sdk_config_variable() {
  auto exists = [](const std::string& file) {
    std::error_code error;
    return fs::exists(file, error);
  };
  std::string home = variable("XDG_CONFIG_HOME");
  if (home.empty()) home = variable("HOME") + "/.config";
  constexpr const char* kAdmin = "SAGEMAKER_ADMIN_CONFIG_OVERRIDE";
  constexpr const char* kUser = "SAGEMAKER_USER_CONFIG_OVERRIDE";
  if (variable(kAdmin).empty() && !exists("/etc/xdg/sagemaker/config.yaml")) return kAdmin;
  if (variable(kUser).empty() && !exists(home + "/sagemaker/config.yaml")) return kUser;
  return "";
}

// Loopback, and what the user keeps from proxies, but no host of ours.
std::string no_proxy() {
  std::string given = variable("no_proxy").empty() ? variable("NO_PROXY") : variable("no_proxy");
  std::string hosts = "localhost,127.0.0.1,::1";
  for (std::string_view host : split(given, ',')) {
    host = trim(host);
    if (host.empty() || host == "*" || host.ends_with("amazonaws.com")) continue;
    hosts += "," + std::string(host);
  }
  return hosts;
}

Result<std::optional<proxy::Address>> parent_proxy() {
  std::string given =
      variable("https_proxy").empty() ? variable("HTTPS_PROXY") : variable("https_proxy");
  if (given.empty()) return std::nullopt;
  if (given.find("://") == std::string::npos) given = "http://" + given;
  auto address = proxy::parse_address(given);
  if (address && !address->is_tls) return *address;
  return fail(Code::invalid, "HTTPS_PROXY must be an http:// URL for `trainyard exec`");
}

Variables access_variables(const Access& access) {
  return {{"AWS_ENDPOINT_URL", access.endpoint},
          {"AWS_ACCESS_KEY_ID", access.credentials.access_key},
          {"AWS_SECRET_ACCESS_KEY", access.credentials.secret_key},
          {"AWS_SESSION_TOKEN", access.credentials.session_token},
          {"AWS_REGION", access.region},
          {"AWS_DEFAULT_REGION", access.region},
          {"AWS_EC2_METADATA_DISABLED", "true"},
          // A profile would come before the keys above.
          {"AWS_PROFILE", ""},
          {"AWS_DEFAULT_PROFILE", ""},
          {"AWS_SECURITY_TOKEN", ""}};
}

Variables proxy_variables(const std::string& url, const std::string& roots) {
  Variables variables;
  // Both spellings: programs look at one or the other first.
  for (const char* name : {"HTTPS_PROXY", "https_proxy"}) variables[name] = url;
  for (const char* name : {"NO_PROXY", "no_proxy"}) variables[name] = no_proxy();
  for (const char* name :
       {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"}) {
    variables[name] = roots;
  }
  return variables;
}

std::vector<std::string> environment_with(const Variables& variables) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    std::string name(text.substr(0, text.find('=')));
    // One service's endpoint would come before that of all.
    if (variables.count(name) == 0 && !name.starts_with("AWS_ENDPOINT_URL_")) {
      result.emplace_back(text);
    }
  }
  for (const auto& [name, value] : variables) {
    if (!value.empty()) result.push_back(name + "=" + value);
  }
  return result;
}

}  // namespace

Result<int> execute(Service& service, const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    return fail(Code::invalid, "say what to run: trainyard exec -- COMMAND ARGUMENTS...");
  }
  Foreground foreground;
  const Access& access = service.access();
  Caller caller = TRY(service.caller());
  proxy::ProxyOptions options;
  options.service = TRY(proxy::parse_address(access.endpoint));
  options.parent = TRY(parent_proxy());
  options.token = random_hex(16);
  SystemClock clock;
  auto authority = TRY(proxy::Authority::open(authority_folder(access), clock));
  auto running = TRY(proxy::Proxy::start(options, *authority));

  TemporaryFolder folder = TRY(TemporaryFolder::make());
  fs::path roots = folder.path() / "roots.pem";
  fs::path config = folder.path() / "sdk-config.yaml";
  TRY(write_file_atomically(roots, public_roots() + authority->certificate_pem()));
  TRY(write_file_atomically(config, sdk_config_text(caller, "")));
  Variables variables = access_variables(access);
  variables.merge(proxy_variables(
      fmt::format("http://trainyard:{}@127.0.0.1:{}", options.token, running->port()),
      roots.string()));
  if (std::string name = free_sdk_config_variable(); !name.empty()) {
    variables[name] = config.string();
  }
  auto ended = foreground.run(arguments, environment_with(variables));
  if (ended) return *ended;
  fmt::print(stderr, "trainyard: {}\n", ended.error().message);
  return ended.error().code == Code::not_found ? 127 : 126;  // as shells say it
}

}  // namespace trainyard::cli
