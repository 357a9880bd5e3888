// SPDX-License-Identifier: Apache-2.0
// Where a lazy file's bytes come from.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string_view>

#include "base/result.hpp"
#include "hydrate/hydrate.hpp"

namespace trainyard::hydrate {

// Used by one thread.
class Source {
 public:
  virtual ~Source() = default;

  // Bytes [offset, offset + length) of the plan's file number `file`, in order, as they come. An
  // error of `on_piece` ends the call and is returned.
  virtual Result<> read(uint32_t file, uint64_t offset, uint64_t length,
                        const transfer::OnPiece& on_piece) = 0;

  // Compares the whole file, which `fd` reads, with what is known of its object's checksum.
  // `invalid`: they differ. Nothing known is fine.
  virtual Result<> verify(uint32_t file, int fd) = 0;
};

// Called on the thread that then uses it, anew after each stop.
using MakeSource = std::function<std::unique_ptr<Source>(std::stop_token stop)>;

// Objects of the plan, which must outlive it.
MakeSource s3_source(const HydratePlan& plan);

}  // namespace trainyard::hydrate
