// SPDX-License-Identifier: Apache-2.0
// A file of the store that is being written. Internal to objects/.
#pragma once

#include <atomic>
#include <string>

#include "http/message.hpp"
#include "objects/object_store.hpp"
#include "objects/quota.hpp"

namespace trainyard::objects {

// Where the bytes of the file with this random name are: "3f/3f9a…".
fs::path path_of(const fs::path& folder, std::string_view name);

// Of all files: jobs read them as other users through links of their own, and own a view of them
// that takes what they write elsewhere (sandbox/overlay.hpp). The store's folder is for its owner
// only, who does not write to an object again.
constexpr unsigned kFileMode = 0644;

// Unlinks the file unless it is kept. What a killed process leaves behind is swept at the next
// start.
class NewFile {
 public:
  static Result<NewFile> create(const fs::path& folder);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  const std::string& name() const { return name_; }
  int fd() const { return fd_.get(); }
  Result<> reserve(uint64_t size_bytes);  // `exhausted` when the disk has not that much
  Result<> sync();
  void keep() { is_kept_ = true; }

 private:
  NewFile(fs::path path, std::string name, Fd fd)
      : path_(std::move(path)), name_(std::move(name)), fd_(std::move(fd)) {}

  fs::path path_;
  std::string name_;
  Fd fd_;
  bool is_kept_ = false;
};

// A body on disk, with what was found out on the way.
struct Stored {
  NewFile file;
  Quota::Share share;
  uint64_t size = 0;
  std::string md5;  // raw; empty: not computed, for the ETag may be opaque
  Checksum checksum;

  void keep() {
    file.keep();
    share.keep();
  }
};

// Reads the body into a new file and checks the claims: BadDigest, InvalidDigest, QuotaExceeded.
// The bytes are on disk when it returns. `at_once` counts the bodies that arrive: many slow ones
// must not hold much memory, few fast ones get large buffers.
Answer<Stored> store_body(const fs::path& folder, Quota& quota, std::atomic<size_t>& at_once,
                          http::Body& body, const Claims& claims);

}  // namespace trainyard::objects
