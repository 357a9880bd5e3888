// SPDX-License-Identifier: Apache-2.0
// Whole-file reads and writes, and the directory calls that need an error text.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace trainyard {

namespace fs = std::filesystem;

// open(2) with O_CLOEXEC; the error names the path.
Result<Fd> open_file(const fs::path& path, int flags, unsigned mode = 0666);

// Reads a whole file of at most `limit_bytes`; a larger one is `exhausted`.
Result<std::string> read_file(const fs::path& path, size_t limit_bytes = 64 << 20);

// Replaces `path` atomically: a reader, or a start after a crash, sees the old or the new content.
// The data is on disk when it returns.
Result<> write_file_atomically(const fs::path& path, std::string_view content,
                               unsigned mode = 0644);

// Writes all of `bytes`, whatever the number of write(2) calls.
Result<> write_all(int fd, std::string_view bytes);

// Fills `bytes` from `offset` on; returns how many there were before the end of the file.
Result<size_t> read_at(int fd, std::span<char> bytes, uint64_t offset);

// Makes the directory and its parents; one that exists is fine.
Result<> make_directories(const fs::path& path, unsigned mode = 0755);

// Removes a file or a whole tree without following links; nothing there is fine.
Result<> remove_tree(const fs::path& path);

// root/relative, where no part below `root` is a symbolic link: what others may have put there
// cannot lead out. `denied` when one is, `not_found` when there is nothing. For folders that nobody
// changes meanwhile.
Result<fs::path> path_without_links(const fs::path& root, const fs::path& relative);

// fsync of a directory: the names in it survive a power cut.
Result<> sync_directory(const fs::path& path);

}  // namespace trainyard
