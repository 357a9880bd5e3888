// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "protocol/report.hpp"

namespace trainyard::agent {

// The lines at the beginning of `bytes`, which lie at `offset` of the log file: whole lines only,
// unless `is_final` or a line is longer than an event may be. At most about 1 MiB of text. Bytes
// that are no UTF-8 become U+FFFD; a carriage return before the line's end is dropped, as the text
// before earlier ones is: a progress bar is its last state.
protocol::LogChunk cut_lines(std::string_view bytes, int64_t offset, int64_t time_ms,
                             bool is_final);

}  // namespace trainyard::agent
