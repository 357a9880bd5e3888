// SPDX-License-Identifier: Apache-2.0
// Objects into files, as fast as the network and the disk allow, every byte verified by what the
// server says of the whole object: its checksum, or an ETag that is an MD5, or the length alone.
// Few threads, each with an epoll loop and kept-alive connections; no thread per object.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "base/file.hpp"
#include "model/s3_uri.hpp"
#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

struct Fetch {
  S3Uri object;
  uint64_t size = 0;  // as listed; an object of another size is an error
  std::string etag;   // in quotes; empty: whichever version is there
  fs::path path;      // replaced when it is there; its folder is made
};

// Looks at an object's bytes as they pass.
class Observer {
 public:
  virtual ~Observer() = default;
  // All bytes in order. An attempt that has to begin anew gets an observer of its own, and this one
  // is destroyed without done().
  virtual void add(std::string_view bytes) = 0;
  // The bytes were the object's, and all of them. The file is about to get its name.
  virtual void done() {}
};

// The callbacks come from several threads at once, for one object from one thread.
struct FetchOptions {
  OnBytes on_bytes;  // every byte once, those found in a part file of an earlier run as well
  std::function<void(const Fetch&)> on_file;  // the file is whole, verified and has its name
  // May return null. Not asked for objects that are fetched in ranges: those come out of order.
  std::function<std::unique_ptr<Observer>(const Fetch&)> observe;
  // A path that holds a file of the object's size is whole: another process has filled it while
  // this one waited for its part file. For paths that are named by what they hold.
  bool is_named_by_content = false;
  std::string what = "the download";  // needs so and so much space: "channel train"

  size_t max_threads = 0;                      // 0: one per core, at most 8
  std::chrono::milliseconds stall{60'000};     // nothing for so long: another try
  std::chrono::milliseconds first_pause{100};  // before the second try; doubles, up to 5 s
  int max_tries = 8;                           // in a row that bring no MiB more of an object
  int max_restarts = 2;  // of an object whose bytes did not add up to its checksum

  // Where a call brings more bytes than this, those of large objects are written past the page
  // cache: they would push out what others read, and each other before they are read themselves.
  // Unset: half of the memory that is available.
  std::optional<uint64_t> direct_from;

  // Objects above `ranges_from` come in several ranges at once where the round trip takes longer
  // than `ranges_rtt` and there are not enough objects to fill the connections.
  uint64_t ranges_from = 64 << 20;
  uint64_t range_bytes = 32 << 20;
  std::chrono::microseconds ranges_rtt{1000};
};

// Fetches all of them, which are in one bucket; the first error that does not go away ends the rest
// and names the object and the byte reached. A file is whole or absent; what came of others stays
// beside them as ".part-…" and is gone on from by the next call for the same version of the object.
// `exhausted` before the first byte when the disk has too little space.
Result<> fetch_all(const S3Access& access, std::span<const Fetch> fetches,
                   const FetchOptions& options, std::stop_token stop = {});

}  // namespace trainyard::transfer
