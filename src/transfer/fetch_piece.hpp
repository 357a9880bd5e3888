// SPDX-License-Identifier: Apache-2.0
// What is known of an object that is being fetched, and of the piece of it that one request at a
// time asks for: what to ask, what to make of the answer, where bytes go. Internal to transfer/.
#pragma once

#include <optional>
#include <vector>

#include "objects/combine.hpp"
#include "objects/md5_pool.hpp"
#include "transfer/answer.hpp"
#include "transfer/fetch.hpp"
#include "transfer/memory.hpp"
#include "transfer/part_file.hpp"

namespace trainyard::transfer {

// What a part file of the object is named after.
Origin origin_of(const Fetch& fetch);

// One object. Belongs to one thread.
class Task {
 public:
  // An MD5 of a large object is computed together with those of others in `md5s`.
  Task(const Fetch& fetch, const FetchOptions& options, Way way, const std::stop_token& stop,
       objects::Md5Pool& md5s)
      : fetch_(fetch), options_(options), way_(way), stop_(stop), md5s_(md5s), etag_(fetch.etag) {}

  // Keeps the part file where a later call can go on from it.
  ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  const Fetch& fetch() const { return fetch_; }
  uint64_t size() const { return fetch_.size; }
  const std::string& etag() const { return etag_; }
  uint64_t kept() const { return part_ ? part_->kept() : 0; }
  bool is_open() const { return part_.has_value(); }
  bool is_in_ranges() const { return !range_digests_.empty(); }
  bool is_expectation_known() const { return expectation_.has_value(); }
  size_t generation() const { return generation_; }

  Result<> open();  // the part file; see PartFile::open
  // True when another process has made the file: FetchOptions::is_named_by_content. Requires an
  // open part file, so that nobody is about to.
  bool take_what_is_there();
  // It comes in ranges from now on, unless another process fetches it so already. Before any byte
  // was taken.
  Result<> split(size_t ranges);
  Result<> check(const Answer& answer);  // that it is the version wanted, and learns what to expect
  // To be verified, in order; where there is a lane(), that gets them later.
  Result<> take(std::string_view bytes, uint64_t offset);
  // Where whole buffers are hashed, with those of other objects; else null.
  objects::Md5Stream* lane() const { return lane_; }
  Result<> write(std::string_view bytes, uint64_t offset);
  void report(uint64_t bytes);
  std::unique_ptr<objects::Digest> range_digest() const;  // null where ranges do not combine
  // A range is there; true for the last one.
  bool end_range(size_t index, objects::Digest* digest, uint64_t size);

  // Verifies and gives the file its name. An error with must_restart(): begin anew.
  Result<> finish();

  // The next error of this object means that nothing of it can be kept.
  bool must_restart() const { return must_restart_; }
  Failure restart_because(std::string why);
  // `error` where it was tried often enough.
  Result<> restart(const Error& error);
  Result<> forget_kept();  // begins at 0, not counted
  void abandon();          // the object is not what was listed: nothing is kept

 private:
  void make_digest();
  Result<> digest_kept();
  Result<std::string> digest_of_ranges();

  const Fetch& fetch_;
  const FetchOptions& options_;
  Way way_;
  std::stop_token stop_;
  objects::Md5Pool& md5s_;
  std::string etag_;  // of all further requests
  std::optional<PartFile> part_;
  std::optional<Expectation> expectation_;
  std::unique_ptr<objects::Digest> digest_;
  objects::Md5Stream* lane_ = nullptr;  // digest_, if it is one
  std::unique_ptr<Observer> observer_;
  std::vector<objects::PartDigest> range_digests_;
  size_t ranges_left_ = 0;
  uint64_t taken_ = 0;     // what digest and observer have seen
  uint64_t reported_ = 0;  // what was reported, over all attempts
  uint64_t passed_ = 0;    // what came, in this attempt
  int restarts_ = 0;
  size_t generation_ = 0;  // of attempts: pieces of earlier ones are void
  bool must_restart_ = false;
};

// Bytes [begin, end) of a task's object.
struct Piece {
  std::shared_ptr<Task> task;
  uint64_t begin = 0;
  uint64_t end = 0;
  size_t index = 0;                         // of its range
  size_t generation = 0;                    // of the task's
  uint64_t reached = 0;                     // taken up to here
  uint64_t written = 0;                     // on disk up to here; what lies between is in `buffer`
  std::unique_ptr<objects::Digest> digest;  // of a range
  Buffer buffer;                            // of large pieces; null: bytes are written as they come
  int tries = 0;                            // in a row
  uint64_t tried_from = 0;                  // where the first of them began
  bool is_hashing = false;  // the task's lane reads the buffer, until flush() or end_hashing()

  bool is_void() const { return generation != task->generation(); }
  bool is_large() const;
  bool wants_head() const;  // a HEAD comes first: a range's answer tells no checksum
  // The lines of the request beyond those that are signed.
  std::string request_lines() const;

  // What to do with an answer's body: leave out `skip` bytes, then take `take`.
  struct Body {
    uint64_t skip = 0;
    uint64_t take = 0;
  };
  Result<Body> on_answer(const Answer& answer, bool is_head);

  // Where to receive next, at most `limit` bytes. Requires a buffer.
  std::span<char> space(uint64_t limit) const;
  // Into space(), or anywhere where there is no buffer. It may be hashing then.
  Result<> received(std::string_view bytes);
  Result<> flush();
  void begin_hashing();
  void end_hashing();
};

// What a large piece receives into: writes of this size at multiples of it are the fastest
// (data_plane.md 2).
constexpr size_t kBufferBytes = 1 << 20;

}  // namespace trainyard::transfer
