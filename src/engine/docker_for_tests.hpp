// SPDX-License-Identifier: Apache-2.0
// The Docker engine with a daemon of the test program's own. For tests only.
#pragma once

#include <gtest/gtest.h>

#include "docker/daemon_for_tests.hpp"
#include "engine/docker_engine.hpp"

namespace trainyard::engine {

// One daemon for all tests of this program, started by the first.
inline docker::DaemonForTests* docker_for_tests() {
  static auto started = docker::DaemonForTests::start();
  EXPECT_TRUE(started) << started.error().message;
  return started ? started->get() : nullptr;
}

// Each folder is a service of its own.
inline std::string service_of(const fs::path& folder) {
  return folder.filename().string().substr(10);
}

inline DockerEngineOptions docker_options(const fs::path& folder, const fs::path& program) {
  DockerEngineOptions made{folder / "jobs", program, {}};
  made.host.container.docker = docker_for_tests()->url();
  made.host.container.service = service_of(folder);
  return made;
}

}  // namespace trainyard::engine
