// SPDX-License-Identifier: Apache-2.0
// tar.gz in both directions.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/file.hpp"
#include "base/result.hpp"

namespace trainyard::transfer {

// Takes the archive's bytes as they are made.
using ByteSink = std::function<Result<>(std::string_view bytes)>;

// Packs what is in `folder` (not the folder itself) with members at the root of the tar: regular
// files, folders, symbolic links as they are; sockets and FIFOs are skipped. Members are in byte
// order of their paths. A file that grows or shrinks meanwhile keeps the archive readable. No
// temporary file. An empty folder makes a valid empty archive (contract.md M 3). `on_bytes` hears
// of the files' own bytes as they are read, before compression.
Result<> pack(const fs::path& folder, const ByteSink& sink,
              const std::function<void(uint64_t bytes)>& on_bytes = {});

// Unpacks a .tar.gz (or plain .tar) below `folder`. Members that would leave it (absolute names,
// "..", through links), devices and FIFOs are an `invalid` error that names them. Owners are not
// restored, set-id bits are dropped.
Result<> unpack(const fs::path& archive, const fs::path& folder);

}  // namespace trainyard::transfer
