// SPDX-License-Identifier: Apache-2.0
// What a model archive costs; the rate is on the standard error.
//   pack_probe FOLDER > ARCHIVE                            packing alone
//   pack_probe FOLDER ENDPOINT KEY SECRET s3://…           packing and uploading
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "transfer/archive.hpp"
#include "transfer/object_writer.hpp"

namespace {

using namespace trainyard;

struct Counts {
  uint64_t read = 0;
  uint64_t made = 0;
};

Result<> pack_to(const char* folder, Counts& counts, const transfer::ByteSink& sink) {
  return transfer::pack(
      folder,
      [&](std::string_view piece) {
        counts.made += piece.size();
        return sink(piece);
      },
      [&](uint64_t bytes) { counts.read += bytes; });
}

Result<> upload(char** arguments, Counts& counts) {
  transfer::S3Client client({arguments[2], "us-west-2", {arguments[3], arguments[4], ""}});
  transfer::ObjectWriter writer(client, TRY(S3Uri::parse(arguments[5])));
  TRY(pack_to(arguments[1], counts, [&](std::string_view piece) { return writer.write(piece); }));
  return writer.finish();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2 && count != 6) return 2;
  auto start = std::chrono::steady_clock::now();
  Counts counts;
  auto done = count == 6 ? upload(arguments, counts)
                         : pack_to(arguments[1], counts, [](std::string_view piece) {
                             return write_all(STDOUT_FILENO, piece);
                           });
  if (!done) {
    fmt::print(stderr, "{}\n", done.error().message);
    return 1;
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  auto read = static_cast<double>(counts.read);
  fmt::print(stderr, "{:.2f} s, {:.0f} MB/s, ratio {:.3f}, {} MiB of memory\n", took.count(),
             read / took.count() / 1e6, read / static_cast<double>(counts.made),
             used.ru_maxrss >> 10);
  return 0;
}
