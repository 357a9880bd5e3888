// SPDX-License-Identifier: Apache-2.0
#include "api/sagemaker/search_filter.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include "base/clock.hpp"
#include "base/text.hpp"

namespace trainyard::api::sagemaker {

namespace {

// The values that a property has in a document; several where its path leads through a list.
using Values = std::vector<json::value>;

json::value value_in_list(const json::object& document, std::string_view list_name,
                          std::string_view key_name, std::string_view key,
                          std::string_view value_name) {
  const json::array* list = json::find_array(document, list_name);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const json::object& entry = (*list)[i].get_object();
    if (json::find_string(entry, key_name) != key) continue;
    const json::value* value = json::find(entry, value_name);
    if (value != nullptr) return *value;
  }
  return nullptr;
}

void collect(const json::value& value, std::string_view path, Values& values) {
  if (const json::array* list = value.if_array()) {
    for (const json::value& item : *list) collect(item, path, values);
    return;
  }
  if (path.empty()) {
    values.push_back(value);
    return;
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return;
  // A hyperparameter's name may have dots itself.
  if (const json::value* whole = json::find(*object, path)) return collect(*whole, "", values);
  size_t dot = path.find('.');
  const json::value* part = json::find(*object, path.substr(0, dot));
  if (part == nullptr || dot == std::string_view::npos) return;
  collect(*part, path.substr(dot + 1), values);
}

Values values_of(const json::object& document, std::string_view property) {
  auto one = [](json::value value) {
    return value.is_null() ? Values() : Values{std::move(value)};
  };
  constexpr std::string_view kTags = "Tags.";
  constexpr std::string_view kMetrics = "Metrics.";
  if (property.starts_with(kTags)) {
    return one(value_in_list(document, "Tags", "Key", property.substr(kTags.size()), "Value"));
  }
  if (property.starts_with(kMetrics)) {
    return one(value_in_list(document, "FinalMetricDataList", "MetricName",
                             property.substr(kMetrics.size()), "Value"));
  }
  Values values;
  collect(document, property, values);
  return values;
}

// A filter's text as what the property holds: times are written as dates.
std::optional<double> number_of(const std::string& text) {
  if (auto number = parse_double(text)) return number;
  auto time = parse_iso8601(text);
  if (!time) return std::nullopt;
  return static_cast<double>(to_epoch_ms(*time)) / 1000.0;
}

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(json::view(value.get_string())) : json::serialize(value);
}

// Less, equal or greater; nullopt where they cannot be compared.
std::optional<int> compare(const json::value& value, const std::string& text) {
  if (value.is_number()) {
    auto wanted = number_of(text);
    if (!wanted) return std::nullopt;
    double number = value.to_number<double>();
    return number < *wanted ? -1 : number > *wanted ? 1 : 0;
  }
  // Hyperparameters are texts: as numbers where both are.
  auto left = parse_double(text_of(value));
  auto right = parse_double(text);
  if (left && right) return *left < *right ? -1 : *left > *right ? 1 : 0;
  int order = text_of(value).compare(text);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

bool is_one_of(const json::value& value, const std::string& list) {
  auto items = split(list, ',');
  return std::any_of(items.begin(), items.end(), [&](std::string_view item) {
    return compare(value, std::string(trim(item))) == 0;
  });
}

bool holds(const std::string& word, const json::value& value, const std::string& text) {
  if (word == "Contains") return text_of(value).find(text) != std::string::npos;
  if (word == "In") return is_one_of(value, text);
  auto order = compare(value, text);
  if (!order) return false;
  if (word == "GreaterThan") return *order > 0;
  if (word == "GreaterThanOrEqualTo") return *order >= 0;
  if (word == "LessThan") return *order < 0;
  if (word == "LessThanOrEqualTo") return *order <= 0;
  return *order == 0;
}

std::string operator_of(const json::object& filter) {
  return json::find_string(filter, "Operator").value_or("Equals");
}

bool matches_filter(const json::object& document, const json::object& filter,
                    std::string_view prefix = {}) {
  std::string name = *json::find_string(filter, "Name");
  if (!prefix.empty() && name.starts_with(std::string(prefix) + ".")) {
    name = name.substr(prefix.size() + 1);
  }
  std::string word = operator_of(filter);
  std::string text = json::find_string(filter, "Value").value_or("");
  Values values = values_of(document, name);
  if (word == "Exists") return !values.empty();
  if (word == "NotExists") return values.empty();
  bool is_negated = word == "NotEquals";
  bool any = std::any_of(values.begin(), values.end(), [&](const json::value& value) {
    return holds(is_negated ? "Equals" : word, value, text);
  });
  return any != is_negated;
}

// One element of the list has to fit all filters.
bool matches_nested(const json::object& document, const json::object& nested) {
  std::string property = *json::find_string(nested, "NestedPropertyName");
  const json::array* elements = json::find_array(document, property);
  const json::array& filters = *json::find_array(nested, "Filters");
  if (elements == nullptr) return false;
  return std::any_of(elements->begin(), elements->end(), [&](const json::value& element) {
    return std::all_of(filters.begin(), filters.end(), [&](const json::value& filter) {
      return matches_filter(element.get_object(), filter.get_object(), property);
    });
  });
}

const json::array& list_in(const json::object& object, std::string_view name) {
  static const json::array kEmpty;
  const json::array* list = json::find_array(object, name);
  return list == nullptr ? kEmpty : *list;
}

struct Counts {
  size_t filters = 0;
  size_t contains = 0;
  bool lacks_value = false;
};

void count(const json::object& expression, Counts& counts) {
  auto count_filters = [&](const json::array& filters) {
    for (const json::value& filter : filters) {
      std::string word = operator_of(filter.get_object());
      bool needs_value = word != "Exists" && word != "NotExists";
      counts.lacks_value |= needs_value && !json::find(filter.get_object(), "Value");
      counts.contains += word == "Contains" ? 1 : 0;
      ++counts.filters;
    }
  };
  count_filters(list_in(expression, "Filters"));
  for (const json::value& nested : list_in(expression, "NestedFilters")) {
    count_filters(list_in(nested.get_object(), "Filters"));
  }
  for (const json::value& part : list_in(expression, "SubExpressions")) {
    count(part.get_object(), counts);
  }
}

}  // namespace

std::optional<aws::Fault> check_expression(const json::object& expression) {
  constexpr size_t kMaxFilters = 50;
  Counts counts;
  count(expression, counts);
  if (counts.contains > 1) {
    return aws::Fault{"ValidationException", "'CONTAINS' operator usage limit of 1 exceeded."};
  }
  if (counts.filters > kMaxFilters) {
    return aws::Fault{"ValidationException",
                      fmt::format("A search has at most {} filters", kMaxFilters)};
  }
  if (counts.lacks_value) {
    return aws::Fault{"ValidationException",
                      "A filter needs a Value unless its Operator is Exists or NotExists"};
  }
  return std::nullopt;
}

bool matches(const json::object& document, const json::object& expression) {
  std::vector<std::function<bool()>> parts;
  for (const json::value& filter : list_in(expression, "Filters")) {
    parts.emplace_back([&] { return matches_filter(document, filter.get_object()); });
  }
  for (const json::value& nested : list_in(expression, "NestedFilters")) {
    parts.emplace_back([&] { return matches_nested(document, nested.get_object()); });
  }
  for (const json::value& part : list_in(expression, "SubExpressions")) {
    parts.emplace_back([&] { return matches(document, part.get_object()); });
  }
  auto is_true = [](const std::function<bool()>& part) { return part(); };
  if (parts.empty()) return true;
  if (json::find_string(expression, "Operator") == "Or") {
    return std::any_of(parts.begin(), parts.end(), is_true);
  }
  return std::all_of(parts.begin(), parts.end(), is_true);
}

SortKey sort_key(const json::object& document, std::string_view property) {
  Values values = values_of(document, property);
  if (values.empty()) return {};
  if (values.front().is_number()) return {1, values.front().to_number<double>(), ""};
  return {2, 0, text_of(values.front())};
}

}  // namespace trainyard::api::sagemaker
