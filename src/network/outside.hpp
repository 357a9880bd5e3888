// SPDX-License-Identifier: Apache-2.0
// The way out of a job's network: slirp4netns, which turns the packets of a tap into connections
// of an ordinary process. https://github.com/rootless-containers/slirp4netns
#pragma once

#include <optional>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/process_tree.hpp"
#include "base/result.hpp"
#include "network/build.hpp"

namespace trainyard::network {

// Why there can be none on this host, and what helps; nullopt: slirp4netns is there.
std::optional<std::string> missing_for_outside();

class Outside {
 public:
  // Starts it on the tap of the network, and waits until it carries packets.
  static Result<Outside> start(const Built& network);
  Outside(Outside&&) = default;
  Outside& operator=(Outside&&) = delete;
  // Ends it and waits for that. Were this process killed, it would end by itself.
  ~Outside();

  // Readable when it has ended.
  int descriptor() const { return process_.get(); }

 private:
  Outside() = default;

  pid_t pid_ = -1;
  Fd process_;  // pidfd; empty in what was moved from
  Fd leash_;    // a pipe's end: slirp4netns ends when it closes
};

}  // namespace trainyard::network
