// SPDX-License-Identifier: Apache-2.0
#include "docker/client.hpp"

#include <utility>

#include "base/text.hpp"
#include "docker/frames.hpp"
#include "docker/pull.hpp"

namespace trainyard::docker {

namespace {

constexpr std::chrono::milliseconds kConnectTimeout{5'000};
constexpr std::chrono::milliseconds kAnswerTimeout{120'000};  // removing may take its time
constexpr std::chrono::hours kNever{24 * 365};                // for streams that may be silent

Code code_of(int status, std::string_view message) {
  if (message.find("address pool") != std::string_view::npos) return Code::exhausted;
  if (message.find("no space left") != std::string_view::npos) return Code::exhausted;
  switch (status) {
    case 400:
      return Code::invalid;
    case 401:
    case 403:
      return Code::denied;
    case 404:
      return Code::not_found;
    case 409:
      return Code::conflict;
    case 503:
      return Code::unavailable;
    default:
      return Code::internal;
  }
}

Failure failure_of(int status, const std::string& body) {
  auto document = json::parse_object(body);
  auto told = document ? json::find_string(*document, "message") : std::nullopt;
  std::string message = told ? *told : std::string(cut_middle(to_valid_utf8(body), 300));
  if (message.empty()) message = fmt::format("status {}", status);
  return Failure(Error{code_of(status, message), "Docker: " + message});
}

bool is_good(int status) {
  constexpr int kNotModified = 304;  // it was so already
  return (status >= 200 && status < 300) || status == kNotModified;
}

Result<> forgive(Result<std::string> answer, std::initializer_list<Code> codes) {
  if (answer) return {};
  for (Code code : codes) {
    if (answer.error().code == code) return {};
  }
  return Failure(std::move(answer).error());
}

std::string filter(const std::string& label, const std::string& value) {
  json::object document{{"label", json::array{json::value(label + "=" + value)}}};
  return percent_encode(json::serialize(document));
}

Labels labels_of(const json::object& entry) {
  Labels labels;
  const json::object* found = json::find_object(entry, "Labels");
  if (found == nullptr) return labels;
  for (const auto& member : *found) {
    if (member.value().is_string()) {
      labels[std::string(member.key())] = std::string(json::view(member.value().get_string()));
    }
  }
  return labels;
}

std::vector<Listed> listed(const json::array& entries, std::string_view id) {
  std::vector<Listed> list;
  for (const json::value& entry : entries) {
    if (!entry.is_object()) continue;
    const json::object& object = entry.get_object();
    list.push_back({json::find_string(object, id).value_or(""), labels_of(object)});
  }
  return list;
}

}  // namespace

http::Call Client::call(const std::string& method, const std::string& path) const {
  http::Call call;
  call.method = method;
  std::string version = version_.api.empty() ? "" : "/v" + version_.api;
  call.url = host_.base_url + version + path;
  call.unix_socket = host_.unix_socket;
  call.connect_timeout = kConnectTimeout;
  call.stall_timeout = kAnswerTimeout;
  if (!host_.tls_dir.empty()) {
    call.ca_file = host_.tls_dir / "ca.pem";
    call.certificate_file = host_.tls_dir / "cert.pem";
    call.key_file = host_.tls_dir / "key.pem";
  }
  return call;
}

Result<std::string> Client::ask(const http::Call& call, std::stop_token stop) {
  auto answer = http_.send(call, std::move(stop));
  if (!answer && answer.error().code == Code::unavailable) {
    std::string where = host_.unix_socket.empty() ? host_.base_url : host_.unix_socket;
    return fail(Code::unavailable, "Docker does not answer at {}: {}", where,
                answer.error().message);
  }
  if (!answer) return Failure(std::move(answer).error());
  if (!is_good(answer->status)) return failure_of(answer->status, answer->body);
  return std::move(answer->body);
}

Result<std::string> Client::post(const std::string& path, const json::object& body) {
  http::Call asked = call("POST", path);
  if (!body.empty()) {
    asked.headers.add("Content-Type", "application/json");
    asked.body = json::serialize(body);
  }
  return ask(asked);
}

Result<json::object> Client::get(const std::string& path) {
  return json::parse_object(TRY(ask(call("GET", path))));
}

Result<> Client::remove(const std::string& path) {
  return forgive(ask(call("DELETE", path)), {Code::not_found});
}

Result<Client> Client::connect(const Host& host) {
  Client client(host);
  client.version_ = TRY(choose_version(TRY(client.get("/version"))));
  return client;
}

Result<HostFacts> Client::info() {
  return parse_info(TRY(get("/info")));
}

Result<Image> Client::inspect_image(const std::string& image) {
  return parse_image(TRY(get("/images/" + percent_encode(image, true) + "/json")));
}

Result<> Client::pull(const Reference& image, const std::string& auth,
                      const std::function<void(const std::string&)>& on_progress,
                      std::stop_token stop) {
  http::Call asked = call("POST", "/images/create?fromImage=" + percent_encode(image.repository) +
                                      "&tag=" + percent_encode(image.version()));
  if (!auth.empty()) asked.headers.add("X-Registry-Auth", auth);
  // A registry that is slow and a daemon that unpacks a large layer are both silent for long.
  asked.stall_timeout = std::chrono::minutes(30);
  PullProgress progress;
  std::string refusal;
  int status = 0;
  std::string told;
  asked.sink = [&](int answered, std::string_view bytes) -> Result<> {
    status = answered;
    if (!is_good(answered)) {
      refusal += bytes.substr(0, 4096);
      return {};
    }
    TRY(progress.push(bytes));
    std::string text = progress.text();
    if (text != told) on_progress(told = text);
    return {};
  };
  TRY(ask(asked, std::move(stop)).or_else([&](const Error& error) -> Result<std::string> {
    if (refusal.empty()) return Failure(error);
    return failure_of(status, refusal);
  }));
  return progress.finish();
}

Result<std::string> Client::create_container(const std::string& name, const ContainerSpec& spec) {
  auto answer = TRY(post("/containers/create?name=" + percent_encode(name), to_json(spec)));
  return json::get_string(TRY(json::parse_object(answer)), "Id");
}

Result<> Client::start_container(const std::string& name) {
  TRY(post("/containers/" + percent_encode(name) + "/start", {}));
  return {};
}

Result<Container> Client::inspect_container(const std::string& name) {
  return parse_container(TRY(get("/containers/" + percent_encode(name) + "/json")));
}

Result<> Client::signal_container(const std::string& name, const std::string& signal) {
  std::string path = "/containers/" + percent_encode(name) + "/kill?signal=" + signal;
  return forgive(post(path, {}), {Code::not_found, Code::conflict});
}

Result<> Client::remove_container(const std::string& name) {
  // 409: somebody removes it already.
  return forgive(ask(call("DELETE", "/containers/" + percent_encode(name) + "?force=1&v=1")),
                 {Code::not_found, Code::conflict});
}

Result<bool> Client::has_path(const std::string& name, const std::string& path) {
  auto found = ask(call(
      "HEAD", "/containers/" + percent_encode(name) + "/archive?path=" + percent_encode(path)));
  if (found) return true;
  if (found.error().code == Code::not_found) return false;
  return Failure(std::move(found).error());
}

Result<> Client::read_output(const std::string& name, bool is_following,
                             const std::function<Result<>(std::string_view)>& on_frame,
                             std::stop_token stop) {
  http::Call asked =
      call("GET", "/containers/" + percent_encode(name) +
                      "/logs?stdout=1&stderr=1&follow=" + (is_following ? "1" : "0"));
  asked.stall_timeout = kNever;
  FrameParser parser(on_frame);
  std::string refusal;
  int status = 0;
  asked.sink = [&](int answered, std::string_view bytes) -> Result<> {
    status = answered;
    if (is_good(answered)) return parser.push(bytes);
    refusal += bytes.substr(0, 4096);
    return {};
  };
  auto answer = ask(asked, std::move(stop));
  if (!refusal.empty()) return failure_of(status, refusal);
  if (!answer) return Failure(std::move(answer).error());
  return {};
}

Result<std::string> Client::create_network(const std::string& name, bool is_internal,
                                           const Labels& labels) {
  json::object label_object;
  for (const auto& [key, value] : labels) label_object[key] = value;
  json::object options;
  // From Docker 27 on: the host has no address in a network that leads nowhere.
  if (is_internal) options["com.docker.network.bridge.inhibit_ipv4"] = "true";
  json::object body{{"Name", name},           {"Driver", "bridge"},
                    {"CheckDuplicate", true}, {"Internal", is_internal},
                    {"Labels", label_object}, {"Options", options}};
  auto answer = TRY(post("/networks/create", body));
  return json::get_string(TRY(json::parse_object(answer)), "Id");
}

Result<Network> Client::inspect_network(const std::string& name) {
  return parse_network(TRY(get("/networks/" + percent_encode(name))));
}

Result<> Client::remove_network(const std::string& name) {
  return remove("/networks/" + percent_encode(name));
}

Result<> Client::remove_volume(const std::string& name) {
  return remove("/volumes/" + percent_encode(name) + "?force=1");
}

Result<std::vector<Listed>> Client::containers(const std::string& label, const std::string& value) {
  auto answer = TRY(
      json::parse(TRY(ask(call("GET", "/containers/json?all=1&filters=" + filter(label, value))))));
  return answer.is_array() ? listed(answer.get_array(), "Id") : std::vector<Listed>();
}

Result<std::vector<Listed>> Client::networks(const std::string& label, const std::string& value) {
  auto answer =
      TRY(json::parse(TRY(ask(call("GET", "/networks?filters=" + filter(label, value))))));
  return answer.is_array() ? listed(answer.get_array(), "Id") : std::vector<Listed>();
}

Result<std::vector<Listed>> Client::volumes(const std::string& label, const std::string& value) {
  auto answer = TRY(get("/volumes?filters=" + filter(label, value)));
  const json::array* list = json::find_array(answer, "Volumes");
  return list != nullptr ? listed(*list, "Name") : std::vector<Listed>();
}

}  // namespace trainyard::docker
