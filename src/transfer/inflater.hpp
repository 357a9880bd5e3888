// SPDX-License-Identifier: Apache-2.0
// Unpacks gzip (RFC 1952, several members too) and zlib (RFC 1950) streams that come in pieces.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::transfer {

// Holds less than half a megabyte, whatever the stream says.
class Inflater {
 public:
  enum class Format { gzip, zlib };

  // Takes unpacked bytes in order; false: no more is wanted.
  using Take = std::function<bool(std::string_view)>;

  // Takes what begins like a stream of the format; zlib with a preset dictionary is none.
  static bool is_header(Format format, std::string_view bytes);

  explicit Inflater(Format format);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // What is wrong with the stream, once that is known; empty: nothing yet. After a fault nothing
  // more is unpacked.
  std::string add(std::string_view bytes, const Take& take);
  // What is wrong where the stream ends here; empty: nothing.
  std::string finish() const;

 private:
  struct State;
  std::string_view format_name() const;
  std::string step(const Take& take, bool& goes_on);

  Format format_;
  std::unique_ptr<State> state_;
  std::vector<char> unpacked_;
  std::string fault_;
};

}  // namespace trainyard::transfer
