// SPDX-License-Identifier: Apache-2.0
#include "api/sts/get_caller_identity.hpp"

namespace trainyard::api::sts {

http::Response get_caller_identity(const Account& account, bool is_job,
                                   std::string_view request_id) {
  // SageMaker names the session of its jobs so.
  std::string_view session = is_job ? "SageMaker" : "trainyard";
  http::Response response;
  response.headers = {{"Content-Type", "text/xml"}, {"x-amzn-RequestId", std::string(request_id)}};
  response.body = fmt::format(
      "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
      "<GetCallerIdentityResult><Arn>arn:aws:sts::{0}:assumed-role/{1}/{2}</Arn>"
      "<UserId>{3}:{2}</UserId><Account>{0}</Account></GetCallerIdentityResult>"
      "<ResponseMetadata><RequestId>{4}</RequestId></ResponseMetadata>"
      "</GetCallerIdentityResponse>",
      account.id, kRole, session, kRoleId, request_id);
  return response;
}

}  // namespace trainyard::api::sts
