// SPDX-License-Identifier: Apache-2.0
// Where a Docker daemon listens.
#pragma once

#include <string>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::docker {

struct Host {
  std::string unix_socket;  // path; empty: `base_url` is TCP
  std::string base_url;     // "http://docker", "https://10.0.0.7:2376"
  fs::path tls_dir;         // ca.pem, cert.pem and key.pem, as docker's own client has them
};

// "unix:///var/run/docker.sock", or "tcp://host:port", which is spoken over TLS where `tls_dir` is
// not empty, and otherwise only to this machine: who reaches that port is root on its host.
Result<Host> parse_host(const std::string& url, const fs::path& tls_dir);

}  // namespace trainyard::docker
