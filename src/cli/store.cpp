// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "objects/scrub.hpp"

namespace trainyard::cli {

Result<int> print_store_usage(const std::string& data_dir) {
  auto buckets = TRY(objects::usage(data_dir));
  uint64_t objects = 0;
  uint64_t bytes = 0;
  fmt::print("{:>12} {:>12} {:>12}  {}\n", "objects", "bytes", "unfinished", "bucket");
  for (const auto& bucket : buckets) {
    fmt::print("{:>12} {:>12} {:>12}  {}\n", bucket.objects, format_bytes(bucket.bytes),
               format_bytes(bucket.unfinished_bytes), bucket.bucket);
    objects += bucket.objects;
    bytes += bucket.bytes + bucket.unfinished_bytes;
  }
  fmt::print("{} objects in {} buckets, {}\n", objects, buckets.size(), format_bytes(bytes));
  return 0;
}

Result<int> verify_store(const std::string& data_dir) {
  uint64_t total = 0;
  for (const auto& bucket : TRY(objects::usage(data_dir))) {
    total += bucket.bytes + bucket.unfinished_bytes;
  }
  Result<objects::ScrubReport> scrubbed;
  {
    Progress progress("Verifying", total);
    objects::ScrubEvents events;
    events.on_bytes = [&](uint64_t bytes) { progress.add(bytes); };
    events.on_damage = [](const objects::Damage& damage) {
      std::string part = damage.part > 0 ? fmt::format(" part {} of an upload", damage.part) : "";
      fmt::print("damaged: s3://{}/{}{} {} ({})\n", damage.bucket, damage.key, part, damage.what,
                 damage.file.string());
    };
    scrubbed = objects::scrub(data_dir, events);
  }
  auto report = TRY(std::move(scrubbed));
  fmt::print("{} objects, {}: {} damaged\n", report.objects, format_bytes(report.bytes),
             report.damaged);
  if (report.without_checksum > 0) {
    fmt::print("of {} only the size was compared: their checksum is one of their parts'\n",
               report.without_checksum);
  }
  if (report.stray_files > 0) {
    fmt::print("{} files ({}) belong to no object: uploads that run, or go at the next start\n",
               report.stray_files, format_bytes(report.stray_bytes));
  }
  return report.damaged > 0 ? 1 : 0;
}

}  // namespace trainyard::cli
