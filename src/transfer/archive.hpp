// SPDX-License-Identifier: Apache-2.0
// tar.gz in both directions.
#pragma once

#include <cstdint>
#include <functional>

#include "base/file.hpp"
#include "base/result.hpp"
#include "transfer/parallel_gzip.hpp"

namespace trainyard::transfer {

// Packs what is in `folder` (not the folder itself) with members at the root of the tar: regular
// files, folders, symbolic links as they are, further names of a file as hard links; sockets and
// FIFOs are skipped. Members are in byte order of their paths, owned by root, without set-id bits.
// Holes of sparse files are not read; the archive has zeros there. A file that grows or shrinks
// meanwhile keeps the archive readable, one that vanishes is left out, one that cannot be read is
// an error that names it. No temporary file, at most 65 MiB of memory. An empty folder makes a
// valid empty archive (contract.md M 3). `sink` and `on_bytes`, which hears of the files' own bytes
// as they are read, are called by the calling thread.
Result<> pack(const fs::path& folder, const ByteSink& sink,
              const std::function<void(uint64_t bytes)>& on_bytes = {});

// Unpacks a .tar.gz (or plain .tar) below `folder`. Members that would leave it (absolute names,
// "..", through links), devices and FIFOs are an `invalid` error that names them. Owners are not
// restored, set-id bits are dropped.
Result<> unpack(const fs::path& archive, const fs::path& folder);

}  // namespace trainyard::transfer
