// SPDX-License-Identifier: Apache-2.0
// A file that is being filled, beside the one it will be: ".part-…", with a name made of the
// target's name and of the object, so that a later process goes on where a killed one ended. One
// process at a time holds it. Internal to transfer/.
#pragma once

#include <string>
#include <string_view>

#include "base/file.hpp"

namespace trainyard::transfer {

// Which bytes a part file holds.
struct Origin {
  std::string text;  // names the object and its version; empty: nothing can be gone on from
  uint64_t size = 0;
  bool is_in_order = true;  // false: written in ranges, so that its length says nothing
};

// Whether bytes stay in the page cache for those who read them next. Past it go whole blocks that
// lie at multiples of a block, in memory and in the file; the rest, at most the ends of what is
// written at once, is buffered, as is all of it on file systems that know no other way.
enum class Way { buffered, direct };

// Of memory, offsets and lengths; no disk that we know has larger ones.
constexpr size_t kBlockBytes = 4096;

class PartFile {
 public:
  static std::string name_of(const std::string& target_name, const Origin& origin);
  // What names of the same target begin with.
  static std::string stem_of(const std::string& target_name);

  // Opens or creates it, and reserves the disk's space. `unavailable` while another process fills
  // it, `exhausted` where the disk is full. The target's folder must exist.
  static Result<PartFile> open(const fs::path& target, const Origin& origin,
                               Way way = Way::buffered);

  // Bytes from the beginning that are there.
  uint64_t kept() const { return kept_; }

  Result<> write(std::string_view bytes, uint64_t offset);
  // What is read does not stay in the page cache either, where the way is direct.
  Result<size_t> read(std::span<char> bytes, uint64_t offset) const;
  bool is_empty() const;
  Result<> clear();   // begins anew
  Result<> commit();  // it becomes the target
  void remove();      // it goes

 private:
  PartFile(Fd file, fs::path path, fs::path target)
      : file_(std::move(file)), path_(std::move(path)), target_(std::move(target)) {}
  void open_direct();

  Fd file_;
  Fd direct_;  // the same, with O_DIRECT; may be none
  fs::path path_;
  fs::path target_;
  uint64_t kept_ = 0;
};

// Removes a part file that no process holds.
void remove_leftover(const fs::path& path);

}  // namespace trainyard::transfer
