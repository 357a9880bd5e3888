// SPDX-License-Identifier: Apache-2.0
// A file of the store that is being written. Internal to objects/.
#pragma once

#include <string>

#include "base/file.hpp"

namespace trainyard::objects {

// Where the bytes of the file with this random name are: "3f/3f9a…".
fs::path path_of(const fs::path& folder, std::string_view name);

// Of all files: jobs read them as other users through links of their own, and own a view of them
// that takes what they write elsewhere (sandbox/overlay.hpp). The store's folder is for its owner
// only, who does not write to an object again.
constexpr unsigned kFileMode = 0644;

// Opens the file to read and write and makes it, and its folder, where it is not there. O_EXCL
// among the flags: it must not be there.
Result<Fd> make_file(const fs::path& path, int flags);

// Room for these bytes; `exhausted` when the disk has not that much.
Result<> reserve(int fd, uint64_t offset, uint64_t size_bytes);
Result<> sync(int fd);

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
  void keep() { is_kept_ = true; }

 private:
  NewFile(fs::path path, std::string name, Fd fd)
      : path_(std::move(path)), name_(std::move(name)), fd_(std::move(fd)) {}

  fs::path path_;
  std::string name_;
  Fd fd_;
  bool is_kept_ = false;
};

}  // namespace trainyard::objects
