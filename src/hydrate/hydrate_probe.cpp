// SPDX-License-Identifier: Apache-2.0
// What the agent calls, for the tests in tests/: hydrate_probe start PROGRAM PLAN | find STATE |
// stop STATE | error STATE.
#include <cstdio>

#include "hydrate/hydrate.hpp"

namespace {

using namespace trainyard;
using namespace trainyard::hydrate;

Result<std::string> answer(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "start") {
    auto text = TRY(read_file(words[2]));
    auto plan = TRY(parse_plan(text));
    return TRY(start(words[1], plan)).tier;
  }
  if (words.size() != 2) return fail(Code::invalid, "what shall it be?");
  if (words[0] == "find") {
    auto found = find(words[1]);
    return found ? std::to_string(found->pid) : "none";
  }
  if (words[0] == "error") {
    auto error = first_error(words[1]);
    return error ? error->text() : "none";
  }
  TRY(stop(words[1]));
  return "stopped";
}

}  // namespace

int main(int argc, char** argv) {
  auto said = answer({argv + 1, argv + argc});
  if (said) {
    fmt::print("{}\n", *said);
    return 0;
  }
  fmt::print(stderr, "{}\n", said.error().message);
  return 1;
}
