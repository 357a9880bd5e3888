// SPDX-License-Identifier: Apache-2.0
// Requests per second of a service, by a client that costs as little as one can: signed requests on
// kept connections, one thread each.
//   load_probe HOST:PORT KEY SECRET put BUCKET BYTES CONNECTIONS SECONDS     new keys
//   load_probe HOST:PORT KEY SECRET get BUCKET/KEY - CONNECTIONS SECONDS     also lists: BUCKET?…
//   load_probe HOST:PORT KEY SECRET post TARGET JSON CONNECTIONS SECONDS     '@' becomes a number
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "aws/sigv4.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"

namespace {

using namespace trainyard;
using std::chrono::steady_clock;

struct Load {
  std::string host;
  uint16_t port = 0;
  aws::Credentials credentials;
  std::string kind;
  std::string target;
  std::string body;
};

std::atomic<uint64_t> done_count = 0;
std::atomic<uint64_t> failed_count = 0;
std::atomic<uint64_t> number_made = 0;

// Without the body of a PUT.
std::string make_request(const Load& load) {
  std::string method = load.kind == "get" ? "GET" : load.kind == "put" ? "PUT" : "POST";
  std::string path = "/";
  std::string query;
  std::string body = load.kind == "post" ? load.body : "";
  http::Headers headers{{"Host", fmt::format("{}:{}", load.host, load.port)}};
  aws::SigningOptions options;
  options.credentials = load.credentials;
  options.region = "us-west-2";
  options.service = "s3";
  options.time = SystemClock().now();
  uint64_t number = number_made++;
  if (load.kind == "post") {
    options.service = "sagemaker";
    body = replace_all(body, "@", fmt::format("{}", number));
    options.payload_hash = aws::payload_hash_of(body);
    headers.add("X-Amz-Target", "SageMaker." + load.target);
    headers.add("Content-Type", "application/x-amz-json-1.1");
  } else if (load.kind == "put") {
    path += fmt::format("{}/{}-{:x}", load.target, options.time.time_since_epoch().count(), number);
  } else {
    size_t mark = std::min(load.target.find('?'), load.target.size());
    path += load.target.substr(0, mark);
    if (mark < load.target.size()) query = load.target.substr(mark + 1);
  }
  aws::sign(method, path, query, headers, options);
  std::string text =
      fmt::format("{} {}{}{} HTTP/1.1\r\n", method, path, query.empty() ? "" : "?", query);
  for (const auto& [name, value] : headers) text += fmt::format("{}: {}\r\n", name, value);
  size_t length = load.kind == "put" ? load.body.size() : body.size();
  if (load.kind != "get") text += fmt::format("Content-Length: {}\r\n", length);
  text += "\r\n";
  return load.kind == "post" ? text + body : text;
}

bool send_all(int socket, std::string_view bytes, int flags = 0) {
  while (!bytes.empty()) {
    ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// Reads one response; its status, 0 where the connection ended.
int read_response(int fd, std::vector<char>& buffer) {
  size_t have = 0;
  for (;;) {
    ssize_t count = ::recv(fd, buffer.data() + have, buffer.size() - have, 0);
    if (count <= 0) return 0;
    have += static_cast<size_t>(count);
    std::string_view text(buffer.data(), have);
    size_t end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) continue;
    size_t at = text.find("Content-Length: ");
    uint64_t length = 0;
    if (at < end) {
      std::string_view digits = text.substr(at + 16);
      length = parse_unsigned(digits.substr(0, digits.find('\r'))).value_or(0);
    }
    uint64_t left = end + 4 + length - have;
    int status = static_cast<int>(parse_unsigned(text.substr(9, 3)).value_or(0));
    while (left > 0) {
      count = ::recv(fd, buffer.data(), std::min<uint64_t>(buffer.size(), left), 0);
      if (count <= 0) return 0;
      left -= static_cast<uint64_t>(count);
    }
    return status;
  }
}

void run_connection(const Load& load, steady_clock::time_point end) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(load.port);
  ::inet_pton(AF_INET, load.host.c_str(), &address.sin_addr);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
  int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::vector<char> buffer(256 << 10);
  std::string request = make_request(load);
  while (steady_clock::now() < end) {
    // A body that is the same each time is never copied.
    bool has_body = load.kind == "put";
    if (!send_all(socket.get(), request, has_body ? MSG_MORE : 0)) return;
    if (has_body && !send_all(socket.get(), load.body)) return;
    int status = read_response(socket.get(), buffer);
    if (status >= 200 && status < 300) {
      ++done_count;
    } else if (failed_count++ == 0) {
      fmt::print(stderr, "status {}: {}\n", status, std::string(buffer.data(), 800));
    }
    if (status == 0) return;
    // Reads are signed once: what is measured is the server.
    if (load.kind != "get" && load.target.find("Describe") == std::string::npos &&
        load.target.find("List") == std::string::npos) {
      request = make_request(load);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 9) return 2;
  std::string_view address = arguments[1];
  size_t colon = std::min(address.find(':'), address.size());
  Load load{std::string(address.substr(0, colon)),
            static_cast<uint16_t>(parse_unsigned(address.substr(colon + 1)).value_or(0)),
            {arguments[2], arguments[3], ""},
            arguments[4],
            arguments[5],
            arguments[6]};
  if (load.kind == "put") load.body = std::string(parse_unsigned(load.body).value_or(0), 'x');
  auto connections = parse_unsigned(arguments[7]).value_or(1);
  auto seconds = parse_unsigned(arguments[8]).value_or(1);
  auto start = steady_clock::now();
  std::vector<std::jthread> threads;
  for (uint64_t i = 0; i < connections; ++i) {
    threads.emplace_back([&] { run_connection(load, start + std::chrono::seconds(seconds)); });
  }
  threads.clear();
  std::chrono::duration<double> took = steady_clock::now() - start;
  fmt::print("{:.2f} requests/s, {} failed\n", static_cast<double>(done_count) / took.count(),
             failed_count.load());
  return failed_count > 0 ? 1 : 0;
}
