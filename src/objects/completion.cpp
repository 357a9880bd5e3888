// SPDX-License-Identifier: Apache-2.0
// CompleteMultipartUpload: the file that the parts share becomes the object, or one is made of
// copies of them.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "objects/combine.hpp"
#include "objects/committer.hpp"
#include "objects/intake.hpp"
#include "objects/part_rows.hpp"
#include "objects/rows.hpp"

namespace trainyard::objects {

namespace {

constexpr uint64_t kMinPartBytes = 5 << 20;  // of all parts but the last

// Of parts in order of their numbers.
Answer<std::vector<PartRow>> choose_parts(const std::vector<PartRow>& parts,
                                          const std::vector<PartChoice>& choices) {
  std::vector<PartRow> chosen;
  for (const PartChoice& choice : choices) {
    if (!chosen.empty() && chosen.back().part.number >= choice.number) {
      return refuse("InvalidPartOrder", "The list of parts was not in ascending order.");
    }
    auto found =
        std::lower_bound(parts.begin(), parts.end(), choice.number,
                         [](const PartRow& row, int number) { return row.part.number < number; });
    bool is_there = found != parts.end() && found->part.number == choice.number;
    if (!is_there || found->part.etag != choice.etag) {
      return refuse("InvalidPart", fmt::format("Part {} could not be found, or its entity tag "
                                               "does not match.",
                                               choice.number));
    }
    if (!chosen.empty() && chosen.back().part.size < kMinPartBytes) {
      return refuse("EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed size");
    }
    chosen.push_back(*found);
  }
  if (chosen.empty()) return refuse("MalformedXML", "An upload has at least one part");
  return chosen;
}

// md5 of the parts' md5s, with their count:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
std::string multipart_etag(const std::vector<PartRow>& parts) {
  auto md5 = make_md5();
  for (const PartRow& row : parts) md5->add(from_hex(row.part.etag).value_or(""));
  return fmt::format("{}-{}", to_hex(md5->finish()), parts.size());
}

std::optional<Checksum> joined_checksum(const Upload& upload, const std::vector<PartRow>& parts) {
  auto algorithm = upload.algorithm.value_or(ChecksumAlgorithm::crc64nvme);
  std::vector<PartDigest> digests;
  for (const PartRow& row : parts) {
    if (!row.part.checksum || row.part.checksum->algorithm != algorithm) return std::nullopt;
    digests.push_back({from_base64(row.part.checksum->value).value_or(""), row.part.size});
  }
  bool is_composite = upload.algorithm && upload.is_composite;
  std::string whole = is_crc(algorithm) ? to_base64(combine_crcs(algorithm, digests)) : "";
  if (!is_composite && is_crc(algorithm)) return Checksum{algorithm, whole, false};
  auto digest = make_digest(algorithm);
  for (const PartDigest& part : digests) digest->add(part.digest);
  auto value = fmt::format("{}-{}", to_base64(digest->finish()), parts.size());
  return Checksum{algorithm, value, true, whole};
}

// An upload that is to be completed.
struct Plan {
  UploadRow upload;
  std::vector<PartRow> all;
  std::vector<PartRow> chosen;
};

Answer<Plan> make_plan(db::Database& database, const std::string& bucket, const std::string& key,
                       const std::string& id, const Completion& completion) {
  Plan plan;
  plan.upload = TRY(find_upload(database, bucket, key, id));
  plan.all = TRY(find_parts(database, id));
  plan.chosen = TRY(choose_parts(plan.all, completion.parts));
  return plan;
}

Answer<Object> object_of(const Plan& plan, const Completion& completion) {
  Object object;
  object.key = plan.upload.upload.key;
  object.etag = multipart_etag(plan.chosen);
  object.headers = plan.upload.headers;
  object.tagging = plan.upload.tagging;
  object.checksum = joined_checksum(plan.upload.upload, plan.chosen);
  for (const PartRow& row : plan.chosen) object.size += row.part.size;
  if (completion.checksum && object.checksum && *completion.checksum != object.checksum->value) {
    return refuse("BadDigest", "The checksum you specified did not match the whole object's.");
  }
  return object;
}

// A chosen part with a slot, if the file of the slots can become the object: each part fills its
// place, at the end or not, and cutting the file off there takes no bytes of another part with it,
// which the upload still has if it cannot be completed in the end.
const PartRow* find_slot_to_stay_in(const Plan& plan) {
  auto slot = std::find_if(plan.chosen.begin(), plan.chosen.end(),
                           [](const PartRow& row) { return row.has_slot(); });
  if (slot == plan.chosen.end()) return nullptr;
  int number = 0;
  for (const PartRow& row : plan.chosen) {
    bool is_last = &row == &plan.chosen.back();
    bool fits = is_last ? row.part.size <= slot->stride : row.part.size == slot->stride;
    if (row.part.number != ++number || !fits) return nullptr;
  }
  bool has_others = std::any_of(plan.all.begin(), plan.all.end(), [&](const PartRow& row) {
    return row.has_slot() && row.part.number > number;
  });
  return has_others ? nullptr : &*slot;
}

// Copies within the kernel, sharing the blocks where the file system can.
Result<> copy_part(const fs::path& folder, const PartRow& row, int target, uint64_t target_offset) {
  Fd from = TRY(open_file(path_of(folder, row.file), O_RDONLY));
  auto source_at = static_cast<off64_t>(row.offset());
  auto target_at = static_cast<off64_t>(target_offset);
  for (uint64_t left = row.part.size; left > 0;) {
    ssize_t count = ::copy_file_range(from.get(), &source_at, target, &target_at, left, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail_errno(count == 0 ? EIO : errno, "joining the parts");
    left -= static_cast<uint64_t>(count);
  }
  return {};
}

Result<> join(const fs::path& folder, const std::vector<PartRow>& parts, int target) {
  uint64_t offset = 0;
  for (const PartRow& row : parts) {
    TRY(copy_part(folder, row, target, offset));
    offset += row.part.size;
  }
  return sync(target);
}

// Makes the slots' file the whole object. Those parts that have files of their own go to their
// slots, which no row names.
Result<> join_in_place(const fs::path& folder, const Plan& plan, const PartRow& slot,
                       uint64_t size_bytes) {
  Fd file = TRY(open_file(path_of(folder, slot.file), O_RDWR));
  for (const PartRow& row : plan.chosen) {
    if (row.has_slot()) continue;
    TRY(copy_part(folder, row, file.get(), offset_of_part(row.part.number, slot.stride)));
  }
  if (::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) {
    return fail_errno(errno, "joining the parts");
  }
  return sync(file.get());
}

}  // namespace

Answer<Object> ObjectStore::complete_upload(const std::string& bucket, const std::string& key,
                                            const std::string& id, const Completion& completion) {
  auto plan_now = [&] {
    return rows_.with([&](db::Database& database) -> Answer<Plan> {
      return make_plan(database, bucket, key, id, completion);
    });
  };
  Plan plan = TRY(plan_now());
  auto closing = find_slot_to_stay_in(plan) ? slots_->close(id) : std::nullopt;
  if (closing) plan = TRY(plan_now());  // what came until then
  const PartRow* slot = closing ? find_slot_to_stay_in(plan) : nullptr;

  // Joining may take a while and runs without the lock; the upload's rows keep its parts.
  Object object = TRY(object_of(plan, completion));
  std::optional<NewFile> joined;
  if (!slot) joined.emplace(TRY(NewFile::create(folder_)));
  Quota::Share share(intake_->quota);
  share.force(object.size);  // the parts' bytes go in return
  if (slot) TRY(join_in_place(folder_, plan, *slot, object.size));
  if (joined) TRY(join(folder_, plan.chosen, joined->fd()));
  object.modified = clock_.now();
  object.file = slot ? slot->file : joined->name();

  std::vector<PartRow> left;
  auto write = [&](db::Database& database) -> Answer<std::string> {
    // A part that was sent again meanwhile has another file now: what was asked for is gone.
    left = TRY(make_plan(database, bucket, key, id, completion)).all;
    std::string old_file =
        TRY(replace_object(database, bucket, object, object.file, completion.condition));
    TRY(remove_upload(database, id));
    return old_file;
  };
  auto old_file = TRY(commit_for<std::string>(*committer_, write));
  if (joined) joined->keep();
  share.keep();
  slots_->end(id);
  discard(old_file);
  discard_parts(left, object.file);
  return object;
}

}  // namespace trainyard::objects
