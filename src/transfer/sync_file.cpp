// SPDX-License-Identifier: Apache-2.0
#include "transfer/sync_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "objects/checksum.hpp"

namespace trainyard::transfer {

namespace {

constexpr uint64_t kPartBytes = 16 << 20;
constexpr uint64_t kMaxParts = 10'000;
constexpr size_t kPieceBytes = 1 << 20;

// As uploaders choose them: ours, the AWS CLI and boto3, s5cmd, rclone, SDKs for Java and Go.
constexpr std::array<uint64_t, 5> kUsualPartMib = {16, 8, 50, 5, 64};

struct SourceFile {
  fs::path path;
  Fd fd;
  struct stat info;
  uint64_t size() const { return static_cast<uint64_t>(info.st_size); }
};

Result<SourceFile> open_source(const fs::path& path) {
  Fd fd = TRY(open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, "reading " + path.string());
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid, "{} is no file", path.string());
  return SourceFile{path, std::move(fd), info};
}

Result<> check_unchanged(const SourceFile& file) {
  struct stat now {};
  if (::fstat(file.fd.get(), &now) != 0) return fail_errno(errno, "reading " + file.path.string());
  bool is_same = now.st_size == file.info.st_size &&
                 now.st_mtim.tv_sec == file.info.st_mtim.tv_sec &&
                 now.st_mtim.tv_nsec == file.info.st_mtim.tv_nsec;
  if (is_same) return {};
  return fail(Code::conflict, "{} changed while it was read", file.path.string());
}

Result<std::string> read_range(const SourceFile& file, uint64_t offset, uint64_t length) {
  std::string bytes(length, '\0');
  if (TRY(read_at(file.fd.get(), bytes, offset)) == length) return bytes;
  return fail(Code::conflict, "{} changed while it was read", file.path.string());
}

std::string md5_of(std::string_view bytes) {
  auto md5 = objects::make_md5();
  md5->add(bytes);
  return md5->finish();
}

std::string crc64nvme_of(std::string_view bytes) {
  auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc64nvme);
  digest->add(bytes);
  return digest->finish();
}

// MD5 in hex; of parts where `part_bytes` is not 0: "<md5 of the parts' md5s>-<parts>".
Result<std::string> etag_of(const SourceFile& file, uint64_t part_bytes, const OnBytes& on_bytes) {
  auto whole = objects::make_md5();
  auto part = objects::make_md5();
  uint64_t parts = 0;
  for (uint64_t offset = 0; offset < file.size();) {
    uint64_t end = part_bytes == 0 ? file.size() : (offset / part_bytes + 1) * part_bytes;
    uint64_t length = std::min({file.size() - offset, end - offset, uint64_t{kPieceBytes}});
    std::string piece = TRY(read_range(file, offset, length));
    part->add(piece);
    offset += length;
    if (on_bytes) on_bytes(length);
    if (offset != end && offset != file.size()) continue;
    std::string digest = part->finish();
    if (part_bytes == 0) return to_hex(digest);
    whole->add(digest);
    part = objects::make_md5();
    ++parts;
  }
  if (part_bytes == 0) return to_hex(part->finish());
  return fmt::format("{}-{}", to_hex(whole->finish()), parts);
}

Result<std::string> crc_of(const SourceFile& file, const OnBytes& on_bytes) {
  auto digest = objects::make_digest(objects::ChecksumAlgorithm::crc64nvme);
  for (uint64_t offset = 0; offset < file.size();) {
    uint64_t length = std::min<uint64_t>(file.size() - offset, kPieceBytes);
    digest->add(TRY(read_range(file, offset, length)));
    offset += length;
    if (on_bytes) on_bytes(length);
  }
  return to_base64(digest->finish());
}

std::string without_quotes(std::string_view etag) {
  return replace_all(std::string(etag), "\"", "");
}

Sameness sameness(bool is_same) {
  return is_same ? Sameness::same : Sameness::different;
}

Result<Sameness> compare_parts(const SourceFile& file, const std::string& etag, uint64_t parts,
                               const OnBytes& on_bytes) {
  for (uint64_t mib : kUsualPartMib) {
    uint64_t part_bytes = mib << 20;
    if ((file.size() + part_bytes - 1) / part_bytes != parts) continue;
    if (TRY(etag_of(file, part_bytes, on_bytes)) == etag) return Sameness::same;
  }
  return Sameness::unknown;
}

uint64_t part_bytes_of(uint64_t size) {
  uint64_t least = (size + kMaxParts - 1) / kMaxParts;
  return std::max(kPartBytes, (least + kPartBytes - 1) / kPartBytes * kPartBytes);
}

class PartUpload : public FileUpload {
 public:
  PartUpload(SourceFile file, S3Uri object)
      : file_(std::move(file)),
        object_(std::move(object)),
        part_bytes_(part_bytes_of(file_.size())),
        parts_((file_.size() + part_bytes_ - 1) / part_bytes_) {}

  // Takes an upload whose parts are cut as ours are. Those that hold other bytes are sent again; an
  // upload that another program has under way with other parts is left alone.
  Result<> open(S3Client& client) {
    auto ids = unfinished_uploads(client, object_);
    // Not every store lists them; then nothing is reused.
    if (!ids && ids.error().code == Code::cancelled) return Failure(ids.error());
    for (size_t i = ids ? ids->size() : 0; i > 0; --i) {
      auto found = TRY(stored_parts(client, object_, (*ids)[i - 1]));
      bool is_ours =
          !found.empty() && std::all_of(found.begin(), found.end(), [&](const auto& part) {
            return part.size == size_of(static_cast<size_t>(part.number - 1));
          });
      if (!is_ours) continue;
      upload_ = (*ids)[i - 1];
      for (StoredPart& part : found) parts_[static_cast<size_t>(part.number - 1)] = std::move(part);
      return {};
    }
    upload_ = TRY(begin_upload(client, object_));
    return {};
  }

  size_t parts() const override { return parts_.size(); }

  Result<uint64_t> send(S3Client& client, size_t index) override {
    uint64_t size = size_of(index);
    std::string bytes = TRY(read_range(file_, index * part_bytes_, size));
    StoredPart& part = parts_[index];
    bool is_there = !part.etag.empty() && without_quotes(part.etag) == to_hex(md5_of(bytes));
    if (is_there) return size;
    int number = static_cast<int>(index) + 1;
    std::string checksum = to_base64(crc64nvme_of(bytes));
    std::string etag = TRY(put_part(client, object_, upload_, number, std::move(bytes), checksum));
    part = {number, size, etag};
    return size;
  }

  Result<> finish(S3Client& client) override {
    TRY(check_unchanged(file_));
    return complete_upload(client, object_, upload_, parts_);
  }

 private:
  uint64_t size_of(size_t index) const {
    uint64_t offset = part_bytes_ * index;
    return offset < file_.size() ? std::min(part_bytes_, file_.size() - offset) : 0;
  }

  SourceFile file_;
  S3Uri object_;
  uint64_t part_bytes_;
  std::string upload_;
  std::vector<StoredPart> parts_;  // as they are in the store; an empty ETag: not there
};

}  // namespace

Result<Sameness> compare_file(S3Client& client, const fs::path& path, const S3Uri& object,
                              const ObjectSummary& listed, const OnBytes& on_bytes) {
  SourceFile file = TRY(open_source(path));
  if (file.size() != listed.size) return Sameness::different;
  std::string etag = without_quotes(listed.etag);
  size_t dash = etag.find('-');
  if (dash == etag.npos && TRY(etag_of(file, 0, on_bytes)) == etag) return Sameness::same;
  auto head = TRY(head_object(client, object));
  if (head.size != file.size()) return Sameness::different;
  if (head.crc64nvme) return sameness(TRY(crc_of(file, {})) == *head.crc64nvme);
  auto parts = parse_unsigned(dash == etag.npos ? "" : etag.substr(dash + 1));
  if (parts) return compare_parts(file, etag, *parts, {});
  // 32 digits that are not its MD5: other bytes, or a store that encrypts with keys of its own.
  return dash == etag.npos && etag.size() == 32 ? Sameness::different : Sameness::unknown;
}

Result<std::unique_ptr<FileUpload>> FileUpload::begin(S3Client& client, const fs::path& path,
                                                      const S3Uri& object) {
  SourceFile file = TRY(open_source(path));
  auto upload = std::make_unique<PartUpload>(std::move(file), object);
  TRY(upload->open(client));
  return upload;
}

Result<> upload_file(S3Client& client, const fs::path& path, const S3Uri& object,
                     const OnBytes& on_bytes) {
  SourceFile file = TRY(open_source(path));
  if (file.size() > kPartBytes) {
    auto upload = TRY(FileUpload::begin(client, path, object));
    for (size_t i = 0; i < upload->parts(); ++i) {
      uint64_t count = TRY(upload->send(client, i));
      if (on_bytes) on_bytes(count);
    }
    return upload->finish(client);
  }
  std::string bytes = TRY(read_range(file, 0, file.size()));
  TRY(check_unchanged(file));
  std::string checksum = to_base64(crc64nvme_of(bytes));
  TRY(put_object(client, object, std::move(bytes), checksum));
  if (on_bytes) on_bytes(file.size());
  return {};
}

}  // namespace trainyard::transfer
