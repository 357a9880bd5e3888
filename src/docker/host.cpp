// SPDX-License-Identifier: Apache-2.0
#include "docker/host.hpp"

#include "base/text.hpp"

namespace trainyard::docker {

namespace {

constexpr std::string_view kUnix = "unix://";
constexpr std::string_view kTcp = "tcp://";

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("localhost:") ||
         address.starts_with("[::1]:");
}

}  // namespace

Result<Host> parse_host(const std::string& url, const fs::path& tls_dir) {
  if (url.starts_with(kUnix)) {
    std::string path = url.substr(kUnix.size());
    constexpr size_t kMaxSocketPath = 107;  // sockaddr_un
    if (!path.starts_with("/")) return fail(Code::invalid, "{}: no absolute path", url);
    if (path.size() > kMaxSocketPath) return fail(Code::invalid, "{}: too long a path", url);
    return Host{path, "http://docker", {}};
  }
  if (!url.starts_with(kTcp)) {
    return fail(Code::invalid, "'{}' is neither unix:///path nor tcp://host:port", url);
  }
  std::string address = url.substr(kTcp.size());
  while (address.ends_with('/')) address.pop_back();
  size_t colon = address.rfind(':');
  auto port = colon == std::string::npos ? std::nullopt : parse_unsigned(address.substr(colon + 1));
  bool is_plain = address.find_first_of("/@?# ") == std::string::npos;
  if (!port || *port == 0 || *port > 65535 || colon == 0 || !is_plain) {
    return fail(Code::invalid, "{}: write tcp://host:port", url);
  }
  if (!tls_dir.empty()) return Host{"", "https://" + address, tls_dir};
  if (is_loopback(address)) return Host{"", "http://" + address, {}};
  return fail(Code::denied,
              "{}: without TLS anybody on the way is root there; name the folder that holds "
              "ca.pem, cert.pem and key.pem",
              url);
}

}  // namespace trainyard::docker
