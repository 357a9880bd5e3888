// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include "base/file.hpp"
#include "base/text.hpp"
#include "launch/arrangement.hpp"
#include "launch/wire.hpp"

namespace trainyard::launch {

namespace {

// What ssh ends with where it could not do its work.
constexpr int kNoConnection = 255;

Result<int> run_there(const std::vector<std::string>& arguments) {
  constexpr size_t kLeast = 3;
  if (arguments.size() < kLeast) return fail(Code::invalid, "usage: FILE HOST COMMAND…");
  auto document = TRY(json::parse_object(TRY(read_file(arguments[0]))));
  auto arrangement = TRY(parse_arrangement(document));
  std::string command;
  for (size_t i = 2; i < arguments.size(); ++i) command += (i > 2 ? " " : "") + arguments[i];
  Fd connection = TRY(ask(arguments[1], arrangement.port, arrangement.secret,
                          {{"do", "run"}, {"command", command}}));
  auto answer = read_line(connection.get());
  constexpr std::string_view kExit = "exit ";
  if (!answer || !answer->starts_with(kExit)) {
    return fail(Code::unavailable, "{} was lost", arguments[1]);
  }
  auto status = parse_unsigned(std::string_view(*answer).substr(kExit.size()));
  return static_cast<int>(status.value_or(kNoConnection));
}

}  // namespace

int mpi_shell(const std::vector<std::string>& arguments) {
  // mpirun says when it is over; a stop concerns the ranks.
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  auto ended = run_there(arguments);
  if (ended) return *ended;
  fmt::print(stderr, "trainyard mpi-shell: {}\n", ended.error().message);
  return kNoConnection;
}

}  // namespace trainyard::launch
