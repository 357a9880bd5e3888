// SPDX-License-Identifier: Apache-2.0
#include "api/iam/simulate_principal_policy.hpp"

#include "aws/xml.hpp"

namespace trainyard::api::iam {

namespace {

// The query protocol numbers the members of a list: "ActionNames.member.1".
std::vector<std::string> members(const std::map<std::string, std::string>& form,
                                 std::string_view list) {
  std::vector<std::string> found;
  for (;;) {
    auto member = form.find(fmt::format("{}.member.{}", list, found.size() + 1));
    if (member == form.end()) return found;
    found.push_back(member->second);
  }
}

}  // namespace

http::Response simulate_principal_policy(const std::map<std::string, std::string>& form,
                                         const std::string& request_id) {
  auto resources = members(form, "ResourceArns");
  if (resources.empty()) resources = {"*"};
  aws::XmlWriter xml;
  xml.open("SimulatePrincipalPolicyResponse", "https://iam.amazonaws.com/doc/2010-05-08/");
  xml.open("SimulatePrincipalPolicyResult").add("IsTruncated", false).open("EvaluationResults");
  auto actions = members(form, "ActionNames");
  for (const std::string& action : actions) {
    for (const std::string& resource : resources) {
      xml.open("member").add("EvalActionName", action).add("EvalResourceName", resource);
      xml.add("EvalDecision", "allowed").close();
    }
  }
  xml.close().close();
  xml.open("ResponseMetadata").add("RequestId", request_id).close().close();
  return {
      200, {{"Content-Type", "text/xml"}, {"x-amzn-RequestId", request_id}}, std::move(xml).text()};
}

}  // namespace trainyard::api::iam
