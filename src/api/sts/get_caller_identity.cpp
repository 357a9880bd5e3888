// SPDX-License-Identifier: Apache-2.0
#include "api/sts/get_caller_identity.hpp"

namespace trainyard::api::sts {

http::Response get_caller_identity(std::string_view account_id, std::string_view access_key,
                                   std::string_view request_id) {
  http::Response response;
  response.headers = {{"Content-Type", "text/xml"}, {"x-amzn-RequestId", std::string(request_id)}};
  response.body = fmt::format(
      "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
      "<GetCallerIdentityResult><Arn>arn:aws:iam::{0}:user/trainyard</Arn><UserId>{1}</UserId>"
      "<Account>{0}</Account></GetCallerIdentityResult>"
      "<ResponseMetadata><RequestId>{2}</RequestId></ResponseMetadata>"
      "</GetCallerIdentityResponse>",
      account_id, access_key, request_id);
  return response;
}

}  // namespace trainyard::api::sts
