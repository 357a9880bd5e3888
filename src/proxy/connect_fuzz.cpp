// SPDX-License-Identifier: Apache-2.0
// Heads of proxy requests: what is understood names a host that can stand in a certificate.
#include "base/check.hpp"
#include "proxy/connect.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  auto request = proxy::parse_connect({reinterpret_cast<const char*>(data), size});
  if (!request) return 0;
  CHECK(!request->host.empty() && request->host.size() <= 253 && request->port > 0,
        "the parser lets only host names through");
  CHECK(request->host.find_first_of(",*/ \r\n") == std::string::npos,
        "such a host would say more in a certificate than its name");
  return 0;
}
