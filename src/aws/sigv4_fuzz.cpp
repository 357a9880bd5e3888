// SPDX-License-Identifier: Apache-2.0
// Claims of a signature: the first line is the Authorization header, the second the query.
#include "aws/sigv4.hpp"
#include "base/text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  auto lines = split({reinterpret_cast<const char*>(data), size}, '\n');
  http::TextBody body;
  http::Request request;
  request.method = "GET";
  request.path = "/";
  request.body = &body;
  if (!lines[0].empty()) request.headers.add("Authorization", lines[0]);
  if (lines.size() > 1) request.query = lines[1];
  auto find = [](std::string_view) { return aws::Credentials{"K", "S", ""}; };
  static_cast<void>(aws::verify(request, find, from_epoch_ms(1'700'000'000'000)));
  return 0;
}
