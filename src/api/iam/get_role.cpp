// SPDX-License-Identifier: Apache-2.0
#include "api/iam/get_role.hpp"

#include "aws/xml.hpp"
#include "base/text.hpp"

namespace trainyard::api::iam {

http::Response get_role(const Account& account, const std::string& role_name,
                        const std::string& request_id) {
  constexpr std::string_view kTrustPolicy =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":)"
      R"({"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]})";
  aws::XmlWriter xml;
  xml.open("GetRoleResponse", "https://iam.amazonaws.com/doc/2010-05-08/");
  xml.open("GetRoleResult").open("Role");
  xml.add("Path", "/").add("RoleName", role_name).add("RoleId", kRoleId);
  xml.add("Arn", fmt::format("arn:aws:iam::{}:role/{}", account.id, role_name));
  xml.add("CreateDate", "2024-01-01T00:00:00Z");
  xml.add("AssumeRolePolicyDocument", percent_encode(kTrustPolicy));
  xml.add("MaxSessionDuration", 3600).close().close();
  xml.open("ResponseMetadata").add("RequestId", request_id).close().close();
  return {
      200, {{"Content-Type", "text/xml"}, {"x-amzn-RequestId", request_id}}, std::move(xml).text()};
}

}  // namespace trainyard::api::iam
