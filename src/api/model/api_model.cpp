// SPDX-License-Identifier: Apache-2.0
#include "api/model/api_model.hpp"

#include <algorithm>
#include <map>

#include "base/check.hpp"
#include "base/text.hpp"

namespace trainyard::api {

namespace {

// contract.md B.4
constexpr std::string_view kLocalPathHelp =
    " (local paths are not visible to training instances; upload the data first, for example: "
    "aws s3 mb s3://<bucket> ; aws s3 cp --recursive <local path> s3://<bucket>/<prefix>/ , and "
    "pass s3://<bucket>/<prefix>/)";

Shape::Kind kind_of(std::string_view type) {
  using Kind = Shape::Kind;
  static const std::map<std::string_view, Kind> kKinds = {
      {"string", Kind::text},        {"integer", Kind::integer}, {"long", Kind::long_integer},
      {"double", Kind::number},      {"float", Kind::number},    {"timestamp", Kind::timestamp},
      {"boolean", Kind::flag},       {"list", Kind::list},       {"map", Kind::map},
      {"structure", Kind::structure}};
  auto found = kKinds.find(type);
  CHECK(found != kKinds.end(), "the model has a type that we do not know");
  return found->second;
}

// Patterns are written for Java's engine. RE2 has no look-behind (one pattern ends in one that
// forbids a last dash, which is left out), its own word for \p{Alnum}, and counts repetitions only
// up to 1,000 (the length has a limit of its own).
std::shared_ptr<const RE2> compile(std::string pattern) {
  pattern = replace_all(std::move(pattern), "\\p{Alnum}", "[:alnum:]");
  pattern = replace_all(std::move(pattern), "(?<!-)", "");
  pattern = replace_all(std::move(pattern), "{1,2048}", "+");
  RE2::Options options;
  options.set_log_errors(false);
  auto matcher = std::make_shared<const RE2>(pattern, options);
  CHECK(matcher->ok(), "a pattern of the model is not one of RE2");
  return matcher;
}

class Model {
 public:
  explicit Model(std::string_view text) {
    auto parsed = json::parse_object(text);
    CHECK(parsed.has_value(), "the model is JSON");
    document_ = *std::move(parsed);
    shapes_in_text_ = json::find_object(document_, "shapes");
    CHECK(shapes_in_text_ != nullptr, "the model has shapes");
    for (const auto& [operation, shape] : *json::find_object(document_, "operations")) {
      inputs_[std::string(operation)] = shape_of(json::view(shape.get_string()));
    }
    add_own_rules();
    document_.clear();
  }

  const Shape& input_of(std::string_view operation) const {
    auto found = inputs_.find(operation);
    CHECK(found != inputs_.end(), "the model has no such operation");
    return *found->second;
  }

 private:
  // Shapes name each other, in circles too: each is made once, before its parts.
  Shape* shape_of(std::string_view name) {
    auto [place, is_new] = shapes_.try_emplace(std::string(name));
    if (is_new) {
      place->second = std::make_unique<Shape>();
      fill(*place->second, *json::find_object(*shapes_in_text_, name));
    }
    return place->second.get();
  }

  void fill(Shape& shape, const json::object& text) {
    auto part = [&](std::string_view role) {
      auto name = json::find_string(text, role);
      return name ? shape_of(*name) : nullptr;
    };
    shape.kind = kind_of(*json::find_string(text, "type"));
    shape.min = json::find_integer(text, "min");
    shape.max = json::find_integer(text, "max");
    shape.pattern = json::find_string(text, "pattern").value_or("");
    if (!shape.pattern.empty()) shape.matcher = compile(shape.pattern);
    shape.values = json::find_texts(text, "enum").value_or(std::vector<std::string>());
    shape.key = part("key");
    shape.element = shape.kind == Shape::Kind::map ? part("value") : part("member");
    auto required = json::find_texts(text, "required").value_or(std::vector<std::string>());
    if (const json::object* members = json::find_object(text, "members")) {
      for (const auto& [key, target] : *members) {
        std::string name(key);
        bool is_required = std::find(required.begin(), required.end(), name) != required.end();
        shape.members.push_back({name, shape_of(json::view(target.get_string())), is_required});
      }
    }
  }

  // Operations of our own have requests like others. The model of today lets a job without
  // instances pass, for jobs that we do not run.
  void add_own_rules() {
    for (const char* operation : {"InterruptTrainingJob", "DescribeTrainingJobNotices"}) {
      inputs_[operation] = shape_of("DescribeTrainingJobRequest");
    }
    for (Member& member : shape_of("CreateTrainingJobRequest")->members) {
      member.is_required |= member.name == "AlgorithmSpecification" ||
                            member.name == "ResourceConfig" || member.name == "StoppingCondition";
    }
    shape_of("S3Uri")->local_path_help = kLocalPathHelp;
  }

  json::object document_;
  const json::object* shapes_in_text_ = nullptr;
  std::map<std::string, std::unique_ptr<Shape>, std::less<>> shapes_;
  std::map<std::string, const Shape*, std::less<>> inputs_;
};

}  // namespace

const Shape& input_of(std::string_view operation) {
  static const Model kModel(kApiModelText);
  return kModel.input_of(operation);
}

}  // namespace trainyard::api
