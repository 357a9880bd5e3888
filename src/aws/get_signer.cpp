// SPDX-License-Identifier: Apache-2.0
#include "aws/get_signer.hpp"

#include "aws/canonical.hpp"
#include "base/text.hpp"

namespace trainyard::aws {

void GetSigner::renew_key(const std::string& date) {
  if (date == date_) return;
  Scope scope{date, region_, "s3"};
  key_ = signing_key(credentials_.secret_key, scope);
  scope_ = scope.text();
  date_ = date;
}

std::string GetSigner::sign(std::string_view method, std::string_view host, std::string_view path,
                            Time now) {
  if (credentials_.access_key.empty()) return "x-amz-checksum-mode: ENABLED\r\n";
  std::string amz_date = format_amz_date(now);
  renew_key(amz_date.substr(0, 8));
  std::string headers = fmt::format(
      "x-amz-checksum-mode:ENABLED\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{}\n",
      amz_date);
  std::string names = "host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date";
  std::string lines = fmt::format(
      "x-amz-checksum-mode: ENABLED\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
      "x-amz-date: {}\r\n",
      amz_date);
  if (!credentials_.session_token.empty()) {
    headers += fmt::format("x-amz-security-token:{}\n", credentials_.session_token);
    names += ";x-amz-security-token";
    lines += fmt::format("x-amz-security-token: {}\r\n", credentials_.session_token);
  }
  std::string request = fmt::format("{}\n{}\n\nhost:{}\n{}\n{}\n{}", method, path, host, headers,
                                    names, kUnsignedPayload);
  std::string text =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, amz_date, scope_, to_hex(sha256(request)));
  fmt::format_to(std::back_inserter(lines),
                 "Authorization: {} Credential={}/{}, SignedHeaders={}, Signature={}\r\n",
                 kAlgorithm, credentials_.access_key, scope_, names,
                 to_hex(hmac_sha256(key_, text)));
  return lines;
}

}  // namespace trainyard::aws
