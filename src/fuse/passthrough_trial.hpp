// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hydrate/front.hpp"

namespace trainyard::fuse {

// Whether complete files are read in passthrough here: `make` shows a file of known bytes, made in
// the trial folder of `state`, which is read by a child, by read and by mmap, while this process
// sees no read. The error says what differed. The calling process must have one thread.
Result<> try_passthrough(const fs::path& state, const hydrate::MakeFront& make);

}  // namespace trainyard::fuse
