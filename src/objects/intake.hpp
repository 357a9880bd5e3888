// SPDX-License-Identifier: Apache-2.0
// Bodies on their way to the disk. Internal to objects/.
#pragma once

#include <atomic>
#include <string>

#include "http/message.hpp"
#include "objects/md5_pool.hpp"
#include "objects/new_file.hpp"
#include "objects/object_store.hpp"
#include "objects/quota.hpp"

namespace trainyard::objects {

// What all bodies that arrive share.
struct Intake {
  explicit Intake(const Quota& limit);

  Quota quota;
  std::atomic<size_t> at_once = 0;  // bodies: many slow ones must not hold much memory
  Md5Pool md5s;
};

// A part of a file that one body may fill.
struct Place {
  int fd = -1;
  uint64_t offset = 0;
  uint64_t room = UINT64_MAX;
};

// What was found out about a body on its way.
struct Received {
  Quota::Share share;
  uint64_t size = 0;
  std::string md5;  // raw; empty: not computed, for the ETag may be opaque
  Checksum checksum;
};

// Reads the body into its place and checks the claims: BadDigest, InvalidDigest, QuotaExceeded. The
// bytes are on disk when it returns.
Answer<Received> receive(Intake& intake, const Place& place, http::Body& body,
                         const Claims& claims);

// The same with a file of its own.
struct Stored {
  NewFile file;
  Received received;

  void keep() {
    file.keep();
    received.share.keep();
  }
};
Answer<Stored> store_body(const fs::path& folder, Intake& intake, http::Body& body,
                          const Claims& claims);

}  // namespace trainyard::objects
