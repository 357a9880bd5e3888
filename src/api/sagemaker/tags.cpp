// SPDX-License-Identifier: Apache-2.0
// AddTags, ListTags, DeleteTags. They may still be changed when the job has ended.
#include <algorithm>

#include "api/sagemaker/actions.hpp"
#include "api/sagemaker/create_request.hpp"
#include "base/text.hpp"

namespace trainyard::api::sagemaker {

namespace {

constexpr size_t kMaxTags = 50;  // of one resource

tl::unexpected<aws::Fault> no_such_resource() {
  return refuse_json("ValidationException", "Resource does not exist");
}

// The job that an ARN names, in whatever case (contract.md C.4).
Result<jobs::Job> find_by_arn(const Services& services, const json::object& request) {
  std::string arn = *json::find_string(request, "ResourceArn");
  auto job = TRY(services.jobs.find_ignoring_case(arn.substr(arn.rfind('/') + 1)));
  if (!equal_ignoring_case(job.arn, arn)) return fail(Code::not_found, "{}", arn);
  return job;
}

bool has_key(const json::value& tag, const std::string& key) {
  return json::find_string(tag.get_object(), "Key") == key;
}

void erase_key(json::array& tags, const std::string& key) {
  auto* found = std::find_if(tags.begin(), tags.end(),
                             [&](const json::value& tag) { return has_key(tag, key); });
  if (found != tags.end()) tags.erase(found);
}

// Replaces the tags by what `edit` makes of them.
JsonReply change_tags(const Services& services, const json::object& request,
                      const std::function<void(json::array&)>& edit, json::array& result) {
  auto job = find_by_arn(services, request);
  if (!job && job.error().code == Code::not_found) return no_such_resource();
  if (!job) return refuse_json(job.error());
  auto changed = services.jobs.change(job->name, [&](jobs::Job& current) -> Result<> {
    result = TRY(json::parse(current.tags)).get_array();
    edit(result);
    if (result.size() > kMaxTags) return fail(Code::exhausted, "too many tags");
    current.tags = json::serialize(result);
    return {};
  });
  if (!changed && changed.error().code == Code::not_found) return no_such_resource();
  if (!changed && changed.error().code == Code::exhausted) {
    return refuse_json("ResourceLimitExceeded",
                       fmt::format("A resource has at most {} tags", kMaxTags));
  }
  if (!changed) return refuse_json(changed.error());
  return "{}";
}

}  // namespace

JsonReply add_tags(const Services& services, const json::object& request) {
  const json::array& added = *json::find_array(request, "Tags");
  if (auto fault = check_tag_keys(added)) return tl::unexpected(*fault);
  json::array result;
  auto changed = change_tags(
      services, request,
      [&](json::array& tags) {
        for (const json::value& tag : added) {
          erase_key(tags, *json::find_string(tag.get_object(), "Key"));
          tags.push_back(tag);
        }
      },
      result);
  if (!changed) return changed;
  return json::serialize(json::object{{"Tags", result}});
}

JsonReply delete_tags(const Services& services, const json::object& request) {
  auto keys = *json::find_texts(request, "TagKeys");
  json::array result;
  return change_tags(
      services, request,
      [&](json::array& tags) {
        for (const std::string& key : keys) erase_key(tags, key);
      },
      result);
}

// A resource has at most as many tags as the smallest page: there is never a second page.
JsonReply list_tags(const Services& services, const json::object& request) {
  auto job = find_by_arn(services, request);
  if (!job && job.error().code == Code::not_found) return no_such_resource();
  if (!job) return refuse_json(job.error());
  return fmt::format("{{\"Tags\":{}}}", job->tags);
}

}  // namespace trainyard::api::sagemaker
