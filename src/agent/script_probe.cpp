// SPDX-License-Identifier: Apache-2.0
// What the agent would run, for tests/differential: one JSON document a line on standard input
//   {"assignment": …, "framework": "tensorflow:2.19" or "", "has_setup": false, "ml": "/opt/ml",
//    "layer": "/folder of bin/python"}
// and for each a line on standard output
//   {"command": […], "variables": {…}, "notices": […], "beside": "mpi_leader" or null}
// or {"failure": "…"}
// usage: script_probe ENVIRONMENTS_TOML SCRATCH_FOLDER
#include <iostream>

#include "agent/plan.hpp"
#include "environments/environment.hpp"

namespace trainyard::agent {

namespace {

Result<json::object> plan_of(const json::object& document, const fs::path& environments,
                             const fs::path& folder) {
  const json::object* assigned = json::find_object(document, "assignment");
  if (assigned == nullptr) return fail(Code::invalid, "no assignment");
  auto assignment = TRY(protocol::parse_assignment(*assigned));
  SystemClock clock;
  auto journal = TRY(Journal::open(folder / "journal.json", clock));
  Context context{assignment, folder, "trainyard", *journal, std::stop_token(), clock};
  bool has_setup = json::find_bool(document, "has_setup").value_or(false);
  context.ml = folder / (has_setup ? "package" : "script");
  context.shown_ml = TRY(json::get_string(document, "ml"));
  context.layer = TRY(json::get_string(document, "layer"));
  std::string framework = TRY(json::get_string(document, "framework"));
  if (!framework.empty()) {
    auto catalogue =
        TRY(environments::Catalogue::load(environments, {{"3.11", "/usr/bin/python3.11", "/usr"}}));
    auto image = TRY(environments::ImageUri::parse(framework));
    context.recipe = TRY(catalogue.resolve(image));
  }
  Plan plan = TRY(make_plan(context));
  json::object variables;
  for (const auto& [name, value] : plan.variables) {
    if (variables.contains(name)) return fail(Code::internal, "{} is set twice", name);
    variables[name] = value;
  }
  return json::object{{"command", json::to_array(plan.command)},
                      {"variables", std::move(variables)},
                      {"notices", json::to_array(plan.notices)},
                      {"beside", plan.arrangement ? launch::to_json(*plan.arrangement)["kind"]
                                                  : json::value(nullptr)}};
}

Result<> run(const fs::path& environments, const fs::path& folder) {
  TRY(make_directories(folder / "script/code"));
  TRY(make_directories(folder / "package/code"));
  TRY(write_file_atomically(folder / "package/code/setup.py", ""));
  for (std::string line; std::getline(std::cin, line);) {
    auto document = TRY(json::parse_object(line));
    auto planned = plan_of(document, environments, folder);
    json::object answer =
        planned ? *std::move(planned) : json::object{{"failure", planned.error().message}};
    std::cout << json::serialize(answer) << "\n";
  }
  return {};
}

}  // namespace

}  // namespace trainyard::agent

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: script_probe ENVIRONMENTS_TOML SCRATCH_FOLDER\n";
    return 2;
  }
  auto done = trainyard::agent::run(arguments[1], arguments[2]);
  if (!done) std::cerr << done.error().message << "\n";
  return done ? 0 : 1;
}
