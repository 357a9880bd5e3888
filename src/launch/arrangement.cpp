// SPDX-License-Identifier: Apache-2.0
#include "launch/arrangement.hpp"

#include <array>
#include <utility>

#include "launch/roles.hpp"

namespace trainyard::launch {

namespace {

constexpr auto kKinds =
    std::to_array<std::pair<Kind, std::string_view>>({{Kind::parameter_server, "parameter_server"},
                                                      {Kind::mpi_leader, "mpi_leader"},
                                                      {Kind::mpi_worker, "mpi_worker"}});

std::string_view name(Kind kind) {
  for (const auto& [other, text] : kKinds) {
    if (other == kind) return text;
  }
  return "";
}

Result<Kind> parse_kind(std::string_view text) {
  for (const auto& [kind, other] : kKinds) {
    if (other == text) return kind;
  }
  return fail(Code::invalid, "there is no kind '{}'", text);
}

std::vector<std::string> texts(const json::object& document, std::string_view key) {
  return json::find_texts(document, key).value_or(std::vector<std::string>());
}

}  // namespace

json::object to_json(const Arrangement& arrangement) {
  return {{"kind", name(arrangement.kind)},
          {"command", json::to_array(arrangement.command)},
          {"ranks", json::to_array(arrangement.ranks)},
          {"python", arrangement.python},
          {"server", json::to_array(arrangement.server)},
          {"host", arrangement.host},
          {"hosts", json::to_array(arrangement.hosts)},
          {"processes_per_host", arrangement.processes_per_host},
          {"port", arrangement.port},
          {"secret", arrangement.secret}};
}

Result<Arrangement> parse_arrangement(const json::object& document) {
  Arrangement parsed;
  parsed.kind = TRY(parse_kind(TRY(json::get_string(document, "kind"))));
  parsed.command = texts(document, "command");
  parsed.ranks = texts(document, "ranks");
  parsed.python = json::find_string(document, "python").value_or("");
  parsed.server = texts(document, "server");
  parsed.host = TRY(json::get_string(document, "host"));
  parsed.hosts = texts(document, "hosts");
  parsed.processes_per_host =
      static_cast<int>(TRY(json::get_integer(document, "processes_per_host")));
  parsed.port = static_cast<uint16_t>(TRY(json::get_integer(document, "port")));
  parsed.secret = TRY(json::get_string(document, "secret"));
  if (parsed.hosts.empty()) return fail(Code::invalid, "member 'hosts' is empty");
  if (parsed.processes_per_host < 1) return fail(Code::invalid, "no process on a host");
  return parsed;
}

int launch(const fs::path& file, const fs::path& program) {
  auto text = read_file(file);
  auto document = text ? json::parse_object(*text) : Result<json::object>(Failure(text.error()));
  auto parsed =
      document ? parse_arrangement(*document) : Result<Arrangement>(Failure(document.error()));
  if (!parsed) {
    fmt::print(stderr, "trainyard launch: {}: {}\n", file.string(), parsed.error().message);
    return 1;
  }
  Result<int> ended = 1;
  if (parsed->kind == Kind::parameter_server) ended = run_with_server(*parsed);
  Callback callback{program.string(), file.string()};
  if (parsed->kind == Kind::mpi_leader) ended = lead(*parsed, callback);
  if (parsed->kind == Kind::mpi_worker) ended = work(*parsed, callback);
  if (ended) return *ended;
  fmt::print(stderr, "ERROR: {}\n", ended.error().message);
  return 1;
}

}  // namespace trainyard::launch
