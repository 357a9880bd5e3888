// SPDX-License-Identifier: Apache-2.0
// What goes through a job's pipes (Pipe mode: contract.md F.3), as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "base/result.hpp"
#include "model/remote_s3.hpp"
#include "model/s3_uri.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::pipe {

// One object as it was when the plan was made.
struct Source {
  S3Uri uri;
  uint64_t size = 0;
  std::string etag;  // in quotes, as S3 sends it; empty: any
  fs::path file;     // the object's own file on this host, never rewritten; empty: over S3
};

// One thing that goes through the pipe: bytes of the plan itself, or an object.
struct Piece {
  std::string bytes;
  std::optional<Source> object;
};

// The unit of order: an object, or a line of an augmented manifest with the attributes asked for.
using Entry = std::vector<Piece>;

struct PipeChannel {
  std::string name;
  std::vector<Entry> entries;  // of all hosts
  bool is_gzip = false;        // objects are inflated; bytes of the plan are not
  bool is_record_io = false;   // each piece is one RecordIO record
  std::optional<int64_t> shuffle_seed;
  // Of each epoch's order, number i goes to host i mod host_count, if the channel is sharded.
  bool is_sharded = false;
  size_t host_index = 0;
  size_t host_count = 1;
};

struct PipePlan {
  transfer::S3Access access;      // to our own store
  std::vector<RemoteS3> remotes;  // where buckets live that it does not hold
  fs::path folder;                // /opt/ml/input/data as it is seen here
  fs::path state;                 // of the feeder's own files
  uint32_t user_id = 0;           // owner of the FIFOs
  std::vector<PipeChannel> channels;
};

// As lines of JSON: the plan, each channel, each of its entries. Holds the credentials.
std::string serialize(const PipePlan& plan);
// `invalid` names the line.
Result<PipePlan> parse_plan(std::string_view text);

// `invalid` for what can be known to fail before a byte was read: names that are no file names, no
// room for the host, an object that is too large for a RecordIO record.
Result<> check(const PipePlan& plan);

}  // namespace trainyard::pipe
