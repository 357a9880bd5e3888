// SPDX-License-Identifier: Apache-2.0
#include "network/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/json.hpp"

namespace trainyard::network {

namespace {

fs::path plan_file(const fs::path& folder) {
  return folder / "plan.json";
}

Result<> write(const fs::path& file, const json::object& document) {
  fs::path temporary = file;
  temporary += fmt::format(".{}", ::getpid());
  Fd fd = TRY(open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  TRY(write_all(fd.get(), json::serialize(document)));
  if (::rename(temporary.c_str(), file.c_str()) == 0) return {};
  return fail_errno(errno, "renaming " + temporary.string());
}

Result<Network> parse(const json::object& document) {
  Network network;
  network.holder.pid = static_cast<pid_t>(TRY(json::get_integer(document, "pid")));
  network.holder.start_time = static_cast<uint64_t>(TRY(json::get_integer(document, "start_time")));
  network.user_descriptor = static_cast<int>(TRY(json::get_integer(document, "user")));
  network.has_outside = json::find_bool(document, "has_outside").value_or(false);
  network.no_outside = TRY(json::get_string(document, "no_outside"));
  network.name_server = TRY(json::get_string(document, "name_server"));
  const json::array* instances = json::find_array(document, "instances");
  if (instances == nullptr) return fail(Code::invalid, "member 'instances' is missing");
  for (const json::value& entry : *instances) {
    if (!entry.is_object()) return fail(Code::invalid, "an instance is no object");
    const json::object& object = entry.get_object();
    Instance instance;
    instance.host = TRY(json::get_string(object, "host"));
    instance.address = TRY(json::get_string(object, "address"));
    instance.descriptor = static_cast<int>(TRY(json::get_integer(object, "descriptor")));
    network.instances.push_back(std::move(instance));
  }
  return network;
}

}  // namespace

Result<> write_holder(const fs::path& folder, const ProcessId& holder) {
  return write(holder_file(folder),
               json::object{{"pid", holder.pid}, {"start_time", holder.start_time}});
}

Result<> write_plan(const fs::path& folder, const Plan& plan) {
  json::object document{{"hosts", json::to_array(plan.hosts)},
                        {"endpoint", plan.endpoint},
                        {"has_outside", plan.has_outside}};
  return write(plan_file(folder), document);
}

Result<Plan> read_plan(const fs::path& folder) {
  auto document = TRY(json::parse_object(TRY(read_file(plan_file(folder)))));
  Plan plan;
  plan.hosts = json::find_texts(document, "hosts").value_or(std::vector<std::string>());
  plan.endpoint = TRY(json::get_string(document, "endpoint"));
  plan.has_outside = json::find_bool(document, "has_outside").value_or(false);
  if (plan.hosts.empty()) return fail(Code::invalid, "member 'hosts' is empty");
  return plan;
}

Result<> write_network(const fs::path& folder, const Network& network) {
  json::array instances;
  for (const Instance& instance : network.instances) {
    instances.push_back(json::object{{"host", instance.host},
                                     {"address", instance.address},
                                     {"descriptor", instance.descriptor}});
  }
  json::object document{
      {"pid", network.holder.pid},        {"start_time", network.holder.start_time},
      {"user", network.user_descriptor},  {"has_outside", network.has_outside},
      {"no_outside", network.no_outside}, {"name_server", network.name_server},
      {"instances", std::move(instances)}};
  return write(network_file(folder), document);
}

Result<> write_error(const fs::path& folder, const Error& error) {
  json::object document{{"error", error.message}};
  return write(network_file(folder), document);
}

Result<std::optional<Network>> read_network(const fs::path& folder) {
  auto text = read_file(network_file(folder));
  if (!text && text.error().code == Code::not_found) return std::nullopt;
  if (!text) return Failure(text.error());
  auto document = TRY(json::parse_object(*text));
  if (auto why = json::find_string(document, "error")) return fail(Code::unavailable, "{}", *why);
  return TRY(parse(document));
}

}  // namespace trainyard::network
