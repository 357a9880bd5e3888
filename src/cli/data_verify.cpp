// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "base/text.hpp"
#include "cli/data_commands.hpp"
#include "cli/data_objects.hpp"
#include "cli/interrupt.hpp"
#include "cli/local_tree.hpp"
#include "objects/checksum.hpp"
#include "transfer/record_check.hpp"
#include "transfer/sync_file.hpp"

namespace trainyard::cli {

namespace {

using transfer::ObjectSummary;
using transfer::S3Client;

// What one object or file is found to be; empty: good.
using Findings = std::vector<std::string>;

int print_findings(const Findings& findings, std::string_view what, const Interrupt& interrupt) {
  size_t bad = 0;
  for (const std::string& finding : findings) {
    if (finding.empty()) continue;
    fmt::print("{}\n", finding);
    ++bad;
  }
  if (interrupt.has_come()) {
    fmt::print(stderr, "interrupted\n");
    return Interrupt::kExitStatus;
  }
  fmt::print("{}, {} differ or are damaged\n", what, with_commas(bad));
  return bad > 0 ? 1 : 0;
}

// Against the bytes themselves, where the store keeps nothing else that can be compared.
Result<bool> has_same_bytes(const DataAccess& access, S3Client& client, const S3Uri& folder,
                            const ObjectSummary& object, const fs::path& path) {
  Fd file = TRY(open_file(path, O_RDONLY | O_NONBLOCK));
  bool is_same = true;
  uint64_t offset = 0;
  std::string local;
  TRY(read_object(access, client, folder.bucket, object, 0, object.size,
                  [&](std::string_view piece) -> Result<> {
                    local.resize(piece.size());
                    size_t count = TRY(read_at(file.get(), local, offset));
                    is_same = is_same && std::string_view(local).substr(0, count) == piece;
                    offset += piece.size();
                    return {};
                  }));
  return is_same;
}

class Comparison {
 public:
  Comparison(Service& service, const VerifyOptions& options, S3Uri folder)
      : options_(options), folder_(std::move(folder)), access_(data_access(service)) {}

  Result<int> run() {
    auto tree = TRY(read_tree(options_.folder, options_.follows_links));
    S3Client client(access_.s3, interrupt_.token());
    std::map<std::string, ObjectSummary> objects;
    for (ObjectSummary& object : TRY(client.list(folder_))) {
      std::string path = path_below(folder_, object.key);
      if (!path.empty()) objects.emplace(std::move(path), std::move(object));
    }
    Findings findings(tree.files.size());
    uint64_t bytes = 0;
    for (const LocalFile& file : tree.files) bytes += file.size;
    SharedProgress progress("Comparing", bytes);
    for_each(tree.files.size(), options_.jobs, access_.s3, interrupt_.token(),
             [&](size_t i, S3Client& own) {
               const LocalFile& file = tree.files[i];
               auto object = objects.find(file.path);
               bool is_there = object != objects.end();
               findings[i] = is_there ? compare(own, file, object->second)
                                      : "missing    " + shown_name(file.path);
               progress.add(file.size);
             });
    for (const LocalFile& file : tree.files) objects.erase(file.path);
    for (const auto& [path, object] : objects) findings.push_back("extra      " + shown_name(path));
    for (const std::string& problem : tree.problems) findings.push_back("skipped    " + problem);
    for (const std::string& link : tree.links) {
      findings.push_back("skipped    " + link + ": a symbolic link (--follow-links)");
    }
    return print_findings(findings, with_commas(tree.files.size()) + " files compared", interrupt_);
  }

 private:
  std::string compare(S3Client& client, const LocalFile& file, const ObjectSummary& object) {
    std::string name = shown_name(file.path);
    if (file.size != object.size) {
      return fmt::format("different  {}: {} bytes here, {} there", name, file.size, object.size);
    }
    fs::path path = fs::path(options_.folder) / file.path;
    auto same = transfer::compare_file(client, path, {folder_.bucket, object.key}, object);
    if (!same) return fmt::format("unreadable {}: {}", name, same.error().message);
    if (*same == transfer::Sameness::same) return "";
    if (*same == transfer::Sameness::different) return "different  " + name;
    auto bytes = has_same_bytes(access_, client, folder_, object, path);
    if (!bytes) return fmt::format("unreadable {}: {}", name, bytes.error().message);
    return *bytes ? "" : "different  " + name;
  }

  const VerifyOptions& options_;
  S3Uri folder_;
  Interrupt interrupt_;
  DataAccess access_;
};

// Every object against what the store says about it, and its records against their checksums.
class Scrub {
 public:
  Scrub(Service& service, const VerifyOptions& options, S3Uri prefix)
      : options_(options), prefix_(std::move(prefix)), access_(data_access(service)) {}

  Result<int> run() {
    S3Client client(access_.s3, interrupt_.token());
    auto objects = TRY(client.list(prefix_));
    if (objects.empty()) return fail(Code::not_found, "nothing is under {}", prefix_.text());
    uint64_t bytes = 0;
    for (const ObjectSummary& object : objects) bytes += object.size;
    Findings findings(objects.size());
    {
      SharedProgress progress("Verifying", bytes);
      for_each(objects.size(), options_.jobs, access_.s3, interrupt_.token(),
               [&](size_t i, S3Client& own) { findings[i] = check(own, objects[i], progress); });
    }
    std::string what =
        fmt::format("{} objects read ({}), {} with {} TFRecords", with_commas(objects.size()),
                    format_bytes(bytes), with_commas(shards_), with_commas(records_));
    if (unchecked_ > 0) {
      what += fmt::format(", {} have no checksum that can be checked", with_commas(unchecked_));
    }
    return print_findings(findings, what, interrupt_);
  }

 private:
  std::string check(S3Client& client, const ObjectSummary& object, SharedProgress& progress) {
    S3Uri uri{prefix_.bucket, object.key};
    std::string name = shown_name(uri.text());
    auto head = transfer::head_object(client, uri);
    if (!head) return fmt::format("{}: {}", name, head.error().message);
    std::string etag = replace_all(head->etag, "\"", "");
    bool is_md5 = !head->crc64nvme && etag.size() == 32;
    auto digest =
        is_md5 ? objects::make_md5() : objects::make_digest(objects::ChecksumAlgorithm::crc64nvme);
    transfer::RecordScanner scanner;
    ObjectSummary now = object;
    if (now.etag != head->etag) now.file.clear();  // replaced since it was listed
    now.etag = head->etag;
    auto read = read_object(access_, client, uri.bucket, now, 0, head->size,
                            [&](std::string_view piece) -> Result<> {
                              digest->add(piece);
                              scanner.add(piece);
                              progress.add(piece.size());
                              return {};
                            });
    if (!read) return fmt::format("{}: {}", name, read.error().message);
    std::string found = digest->finish();
    bool is_damaged =
        is_md5 ? to_hex(found) != etag : head->crc64nvme && to_base64(found) != *head->crc64nvme;
    if (!is_md5 && !head->crc64nvme) ++unchecked_;
    auto verdict = scanner.finish();
    if (verdict.is_tfrecord) ++shards_;
    records_ += verdict.records;
    std::string text;
    if (is_damaged) text = name + ": the bytes do not match the checksum that the store keeps";
    if (verdict.first_broken) {
      text += (text.empty() ? "" : "\n") + transfer::broken_text({name, verdict});
    }
    return text;
  }

  const VerifyOptions& options_;
  S3Uri prefix_;
  Interrupt interrupt_;
  DataAccess access_;
  std::atomic<uint64_t> shards_ = 0;
  std::atomic<uint64_t> records_ = 0;
  std::atomic<uint64_t> unchecked_ = 0;
};

}  // namespace

Result<int> verify_data(Service& service, const VerifyOptions& options) {
  if (!options.folder.empty()) {
    S3Uri folder = TRY(parse_folder(options.uri));
    return Comparison(service, options, std::move(folder)).run();
  }
  S3Uri prefix = TRY(S3Uri::parse(options.uri));
  return Scrub(service, options, std::move(prefix)).run();
}

}  // namespace trainyard::cli
