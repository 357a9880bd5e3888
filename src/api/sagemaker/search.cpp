// SPDX-License-Identifier: Apache-2.0
// Search over training jobs (contract.md C.3): filters, nested filters and subexpressions on the
// members that Describe shows, on Tags.<key>, HyperParameters.<name> and Metrics.<name>.
// https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html
#include <algorithm>
#include <array>
#include <tuple>

#include "api/sagemaker/actions.hpp"
#include "api/sagemaker/search_filter.hpp"
#include "base/text.hpp"

namespace trainyard::api::sagemaker {

namespace {

struct Hit {
  SortKey key;
  std::string name;
  json::object document;
};

// Where a page ends; the next one begins behind it, whatever came and went since.
std::string token_after(const Hit& hit) {
  return to_base64(
      json::serialize(json::array{hit.key.kind, hit.key.number, hit.key.text, hit.name}));
}

Result<Hit> parse_token(const std::string& token) {
  auto parsed = json::parse(from_base64(token).value_or(""));
  const json::array* parts = parsed ? parsed->if_array() : nullptr;
  bool is_ours = parts != nullptr && parts->size() == 4 && (*parts)[0].is_int64() &&
                 (*parts)[1].is_number() && (*parts)[2].is_string() && (*parts)[3].is_string();
  if (!is_ours) return fail(Code::invalid, "NextToken is not one of this service");
  return Hit{{(*parts)[0].get_int64(), (*parts)[1].to_number<double>(),
              std::string(json::view((*parts)[2].get_string()))},
             std::string(json::view((*parts)[3].get_string())),
             {}};
}

bool comes_before(const Hit& left, const Hit& right, bool is_descending) {
  auto order = [](const Hit& hit) {
    return std::tie(hit.key.kind, hit.key.number, hit.key.text, hit.name);
  };
  return is_descending ? order(right) < order(left) : order(left) < order(right);
}

// The resource as Search has it: Describe's document with the tags.
Result<json::object> resource_of(const Services& services, const jobs::Job& job) {
  auto document = TRY(describe(services, job));
  document["Tags"] = TRY(json::parse(job.tags));
  return document;
}

// Describe shows more than Search.
constexpr std::array kOnlyDescribed = {"ProfilerRuleConfigurations", "RemoteDebugConfig",
                                       "InfraCheckConfig", "MlflowConfig"};
json::object as_result(json::object document) {
  for (const char* name : kOnlyDescribed) document.erase(name);
  return {{"TrainingJob", std::move(document)}};
}

Result<std::vector<Hit>> find_hits(const Services& services, const json::object& request) {
  const json::object* expression = json::find_object(request, "SearchExpression");
  std::string sort_by = json::find_string(request, "SortBy").value_or("LastModifiedTime");
  std::vector<Hit> hits;
  for (const jobs::Job& listed : TRY(services.jobs.all())) {
    auto job = services.jobs.find(listed.name);
    if (!job && job.error().code == Code::not_found) continue;  // deleted just now
    if (!job) return Failure(job.error());
    auto document = TRY(resource_of(services, *job));
    if (expression != nullptr && !matches(document, *expression)) continue;
    hits.push_back({sort_key(document, sort_by), job->name, std::move(document)});
  }
  return hits;
}

}  // namespace

JsonReply search(const Services& services, const json::object& request) {
  std::string resource = *json::find_string(request, "Resource");
  if (resource != "TrainingJob") {
    return refuse_json(
        "ValidationException",
        fmt::format("Search of {} is not supported; this service has TrainingJob", resource));
  }
  if (const json::object* expression = json::find_object(request, "SearchExpression")) {
    if (auto fault = check_expression(*expression)) return tl::unexpected(*fault);
  }
  bool is_descending = json::find_string(request, "SortOrder") != "Ascending";
  std::optional<Hit> last;
  if (auto token = json::find_string(request, "NextToken"); token && !token->empty()) {
    auto parsed = parse_token(*token);
    if (!parsed) return refuse_json(parsed.error());
    last = *std::move(parsed);
  }
  auto hits = find_hits(services, request);
  if (!hits) return refuse_json(hits.error());
  std::sort(hits->begin(), hits->end(), [&](const Hit& left, const Hit& right) {
    return comes_before(left, right, is_descending);
  });
  auto limit = static_cast<size_t>(json::find_integer(request, "MaxResults").value_or(100));
  json::array results;
  json::object answer;
  const Hit* previous = nullptr;
  for (const Hit& hit : *hits) {
    if (last && !comes_before(*last, hit, is_descending)) continue;
    if (results.size() == limit) {
      answer["NextToken"] = token_after(*previous);
      break;
    }
    results.push_back(as_result(hit.document));
    previous = &hit;
  }
  answer["Results"] = std::move(results);
  answer["TotalHits"] = json::object{{"Value", hits->size()}, {"Relation", "EqualTo"}};
  return json::serialize(answer);
}

}  // namespace trainyard::api::sagemaker
