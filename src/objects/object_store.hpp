// SPDX-License-Identifier: Apache-2.0
// Buckets and objects on this machine's disk. Metadata is in SQLite (objects.db), each object's
// bytes in one plain file with a random name below objects/, never rewritten: replacing an object
// is a new file and a new row. So a reader sees the old object or the new one, no key can name a
// file, and an open descriptor is a snapshot. Thread-safe.
//
// Crashes: bytes are on disk before the row is committed; files without a row (an upload that did
// not come to its end, a removed object) are swept at the next start.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "aws/fault.hpp"
#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/guarded.hpp"
#include "base/json.hpp"
#include "db/database.hpp"
#include "http/message.hpp"
#include "objects/checksum.hpp"

namespace trainyard::objects {

// Why the store refuses: an S3 fault. Errors of the machine become one, too.
struct Refusal : aws::Fault {
  Refusal(std::string fault_code, std::string text)
      : aws::Fault{std::move(fault_code), std::move(text)} {}
  Refusal(const Error& error) : aws::Fault(aws::to_fault(error, aws::Dialect::s3)) {}
};

template <class T = void>
using Answer = tl::expected<T, Refusal>;

inline tl::unexpected<Refusal> refuse(std::string code, std::string message) {
  return tl::unexpected(Refusal(std::move(code), std::move(message)));
}

struct Bucket {
  std::string name;
  Time created;
};

// "x-amz-checksum-crc32: <value>"; of a multipart upload either over the whole object or,
// `is_composite`, over its parts' checksums, with "-<parts>" at the end.
struct Checksum {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::crc64nvme;
  std::string value;  // base64
  bool is_composite = false;
  // Of a composite CRC: the whole object's, base64, by which the store verifies it.
  std::string whole = {};
};

struct Object {
  std::string key;
  uint64_t size = 0;
  std::string etag;  // without quotes
  Time modified;
  // What a GET answers beside the bytes: content-type, content-encoding, x-amz-meta-*, …; lower
  // case.
  std::map<std::string, std::string> headers;
  std::optional<Checksum> checksum;
  std::string tagging;  // as x-amz-tagging sends it: "a=1&b=2"
  std::string file;     // name of the file that holds the bytes; see ObjectStore::file_of
};

struct OpenObject {
  Object object;
  std::shared_ptr<Fd> file;
};

// If-Match and If-None-Match of a write.
struct WriteCondition {
  std::optional<std::string> if_match;  // an ETag that the object must have
  bool if_absent = false;               // If-None-Match: *
};

// What a client says about the bytes it sends.
struct Claims {
  std::optional<ChecksumAlgorithm> algorithm;  // to compute and keep; default CRC64NVME
  std::optional<std::string> checksum;  // base64, as a header; trailers are looked up in the body
  std::optional<std::string> md5;       // Content-MD5, base64
  // Of a part with a checksum: its ETag need not be its MD5, which costs more than all the rest.
  bool is_etag_opaque = false;
};

struct PutOptions {
  std::map<std::string, std::string> headers;
  std::string tagging;
  Claims claims;
  WriteCondition condition;
};

struct ListQuery {
  std::string prefix;
  std::string delimiter;
  std::string after;  // only keys and common prefixes behind this one
  size_t limit = 1000;
};

struct Listing {
  std::vector<Object> objects;  // without headers
  std::vector<std::string> common_prefixes;
  bool is_truncated = false;
  std::string last;  // the last key or common prefix; `after` of the next page
};

struct Upload {
  std::string id;
  std::string key;
  Time started;
  std::optional<ChecksumAlgorithm> algorithm;
  bool is_composite = true;
};

struct Part {
  int number = 0;  // 1 to 10,000
  uint64_t size = 0;
  std::string etag;
  Time modified;
  std::optional<Checksum> checksum;
};

// A part as CompleteMultipartUpload names it.
struct PartChoice {
  int number = 0;
  std::string etag;  // without quotes
};

struct Completion {
  std::vector<PartChoice> parts;
  std::optional<std::string> checksum;  // base64, of the whole object
  WriteCondition condition;
};

struct UploadOptions {
  std::map<std::string, std::string> headers;
  std::string tagging;
  std::optional<ChecksumAlgorithm> algorithm;
  bool is_composite = true;
};

// Where the bytes of a part are until its upload is complete.
enum class PartFile {
  any,  // where the other parts are, if that saves copying them then
  own,
};

class Committer;
struct Intake;
struct PartRow;
class PartSlots;
class Quota;

class ObjectStore {
 public:
  // Keeps objects.db and objects/ in `folder`. The clock must outlive the store. Writes that would
  // make it hold more than `quota_bytes` are refused with QuotaExceeded; 0: no limit.
  static Result<std::unique_ptr<ObjectStore>> open(const fs::path& folder, const Clock& clock,
                                                   uint64_t quota_bytes = 0);
  ~ObjectStore();

  Answer<> create_bucket(const std::string& bucket);  // BucketAlreadyOwnedByYou, InvalidBucketName
  Answer<> remove_bucket(const std::string& bucket);  // BucketNotEmpty
  Answer<> check_bucket(const std::string& bucket);   // NoSuchBucket
  Answer<std::vector<Bucket>> buckets();

  // Reads the body to its end; nothing is visible before all of it is stored and its checksums are
  // right (BadDigest). The stored object comes back.
  Answer<Object> put(const std::string& bucket, const std::string& key, http::Body& body,
                     const PutOptions& options);

  Answer<OpenObject> open_object(const std::string& bucket, const std::string& key);
  Answer<Object> head(const std::string& bucket, const std::string& key);

  // The plain file with the object's bytes, on this host. It is never rewritten and goes when the
  // object is replaced or removed; a hard link to it stays.
  fs::path file_of(const Object& object) const;

  // An object that is not there is removed, too, as on S3.
  Answer<> remove(const std::string& bucket, const std::string& key);
  Answer<> set_tagging(const std::string& bucket, const std::string& key,
                       const std::string& tagging);

  // In byte order of the keys.
  Answer<Listing> list(const std::string& bucket, const ListQuery& query);

  Answer<Upload> begin_upload(const std::string& bucket, const std::string& key,
                              const UploadOptions& options);
  Answer<Part> put_part(const std::string& bucket, const std::string& key, const std::string& id,
                        int number, http::Body& body, const Claims& claims,
                        PartFile part_file = PartFile::any);
  // The parts must be in ascending order and, but for the last, of at least 5 MiB. Those of one
  // size become the object where they are (part_slots.hpp), others are copied.
  Answer<Object> complete_upload(const std::string& bucket, const std::string& key,
                                 const std::string& id, const Completion& completion);
  Answer<> abort_upload(const std::string& bucket, const std::string& key, const std::string& id);
  Answer<Upload> upload(const std::string& bucket, const std::string& key, const std::string& id);
  Answer<std::vector<Part>> parts(const std::string& bucket, const std::string& key,
                                  const std::string& id);
  Answer<std::vector<Upload>> uploads(const std::string& bucket, const std::string& prefix);

 private:
  struct Databases;
  ObjectStore(fs::path folder, const Clock& clock, Databases databases, Quota quota);
  void sweep(const std::stop_token& stop);
  // Removes a file that no row names any more; "" is none.
  void discard(const std::string& file);
  // The same with the parts of an upload that is gone, but for a file that is an object now.
  void discard_parts(const std::vector<PartRow>& parts, const std::string& kept_file = "");

  fs::path folder_;  // of the objects' files
  const Clock& clock_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<PartSlots> slots_;
  std::unique_ptr<Committer> committer_;
  // Connections that only read, so that they do not wait for commits, and GET not for LIST.
  Guarded<db::Database> rows_;
  Guarded<db::Database> listings_;
  std::jthread sweeper_;
};

// At most 1,024 bytes of valid UTF-8, not empty.
Answer<> check_key(std::string_view key);

}  // namespace trainyard::objects
