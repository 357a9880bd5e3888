// SPDX-License-Identifier: Apache-2.0
// Objects written to S3 while their bytes are made.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "transfer/s3_client.hpp"

namespace trainyard::transfer {

// An upload whose length is not known beforehand. Full parts are sent by up to three connections of
// their own while the next one fills, each with its CRC64NVME and repeated alone where that may
// help. Nothing is visible before finish(); destroyed without it the upload is aborted. An object
// below 16 MiB is one PUT. Memory: 64 MiB; parts grow with the object's size, so from 23 GiB on
// twice the size of a part. Used by one thread, with the client, which must outlive it.
class ObjectWriter {
 public:
  ObjectWriter(S3Client& client, S3Uri object);
  ~ObjectWriter();
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;

  // An error may be that of a part of earlier bytes.
  Result<> write(std::string_view bytes);
  Result<> finish();

 private:
  class Lanes;

  Result<> send_part();

  S3Client& client_;
  S3Uri object_;
  std::string upload_id_;         // empty: no part was sent yet
  std::unique_ptr<Lanes> lanes_;  // null until then
  std::string buffer_;            // the part that fills
};

}  // namespace trainyard::transfer
