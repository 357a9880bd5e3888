// SPDX-License-Identifier: Apache-2.0
// Verdicts on files that nobody changes any more, kept with the file: the second look costs
// nothing. They lie in the extended attribute user.trainyard.records, with the size, inode and time
// of change that they are about, so that one that was copied, or a file that was written to, is
// looked at anew.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "base/file.hpp"
#include "base/result.hpp"
#include "transfer/record_scanner.hpp"

namespace trainyard::transfer {

// Reads the file until its verdict is certain: all of a TFRecord file, the start of another one.
// `cancelled` where a stop was requested.
Result<RecordVerdict> scan_file(const fs::path& file, RecordSink* sink = nullptr,
                                const std::stop_token& stop = {});

// What was remembered of the file as it is now.
std::optional<RecordVerdict> remembered_verdict(const fs::path& file);

// Keeps it for later: of a scanner that saw the bytes while they were written, by one who knows
// that nobody writes to the file any more. Where the file system has no attributes, or we may not
// write them, the file is only scanned again; so are files without records, which costs one read.
void remember_verdict(const fs::path& file, const RecordVerdict& verdict);

// Asked before a file of `size` bytes is read beyond its start.
using MayRead = std::function<bool(uint64_t size)>;

// The remembered one, else that of a scan, which is then remembered, unless the file was written to
// in this very moment: then its time of change may stay the same once more. `exhausted` where
// `may_read` says no.
Result<RecordVerdict> verdict_of(const fs::path& file, const std::stop_token& stop = {},
                                 const MayRead& may_read = {});

}  // namespace trainyard::transfer
