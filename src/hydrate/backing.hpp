// SPDX-License-Identifier: Apache-2.0
// The files that bytes are written into: full length and blocks allocated from the start, so that
// no write can find the disk full, and cp and tar -S, which look for holes in files with missing
// blocks, do not look.
#pragma once

#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/result.hpp"
#include "hydrate/chunk_map.hpp"
#include "hydrate/hydrate.hpp"

namespace trainyard::hydrate {

// A descriptor to read and write a file with.
class BackingFile {
 public:
  explicit BackingFile(int kept) : fd_(kept) {}
  explicit BackingFile(Fd opened) : fd_(opened.get()), opened_(std::move(opened)) {}
  int get() const { return fd_; }

 private:
  int fd_;
  Fd opened_;
};

class Backing {
 public:
  // Files at their paths below `root`, for everybody to read: see make_tree and make_cache.
  Backing(fs::path root, const std::vector<LazyFile>& files, bool is_named);

  // Makes the next file. `exhausted`: the disk is full.
  Result<> add();

  // As many descriptors as the process may have are kept from the start, before any mark: using
  // them makes no events. Others are opened for the use: what is done with them asks like a read
  // does, and the front must know of this process (Front::exempt). Thread-safe.
  Result<BackingFile> use(uint32_t file) const;

  // It will not be used again. False: it was said before.
  bool release(uint32_t file);

  uint32_t size() const { return static_cast<uint32_t>(files_->size()); }

 private:
  fs::path path_of(size_t file) const;

  fs::path root_;
  const std::vector<LazyFile>* files_;
  bool is_named_;  // by the plan's paths, else "0", "1", …
  uint64_t most_kept_;
  std::vector<Fd> kept_;
  std::vector<bool> is_released_;
};

// `exhausted` when the disk of the folder has no room for all of them.
Result<> check_space(const fs::path& folder, const std::vector<LazyFile>& files);

// Makes root and in it the plan's files, which must outlive the backing, at their paths.
Result<Backing> make_tree(const fs::path& root, const std::vector<LazyFile>& files);

// The same files without their names, as "0", "1", …, for nobody but us.
Result<Backing> make_cache(const fs::path& root, const std::vector<LazyFile>& files);

// Cuts files that are not complete to length 0: readers find an end where zeros would be. Asks like
// a read does, so the front must be answered meanwhile by another thread or process.
void cut_incomplete(const Backing& backing, const ChunkMap& map);

}  // namespace trainyard::hydrate
