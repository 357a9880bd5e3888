// SPDX-License-Identifier: Apache-2.0
// A Docker daemon of a test's own: its folders, its socket and a network namespace, so that nothing
// of it is seen on this machine or stays behind. For tests only.
#pragma once

#include <memory>
#include <string>

#include "base/process_tree.hpp"
#include "docker/host.hpp"

namespace trainyard::docker {

class DaemonForTests {
 public:
  // Why there can be none here; "" when there can.
  static std::string obstacle();

  // Starts one and waits until it answers.
  static Result<std::unique_ptr<DaemonForTests>> start();
  ~DaemonForTests();
  DaemonForTests(const DaemonForTests&) = delete;
  DaemonForTests& operator=(const DaemonForTests&) = delete;

  std::string url() const { return "unix://" + socket().string(); }
  Host host() const { return {socket().string(), "http://docker", {}}; }
  // Makes an image of Debian's static busybox and a shell script /bin/train that runs `script`.
  Result<> make_image(const std::string& name, const std::string& script,
                      const std::string& changes = "") const;

 private:
  explicit DaemonForTests(fs::path folder) : folder_(std::move(folder)) {}
  fs::path socket() const { return folder_ / "docker.sock"; }

  fs::path folder_;
  ProcessId process_{};
};

}  // namespace trainyard::docker
