// SPDX-License-Identifier: Apache-2.0
#include "main/serve.hpp"

#include <signal.h>
#include <unistd.h>

#include "api/dispatch.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "http/server.hpp"

namespace trainyard {

namespace {

Result<http::ServerOptions> parse_listen(std::string_view listen) {
  size_t colon = listen.rfind(':');
  auto port = colon == std::string_view::npos ? std::nullopt
                                              : parse_unsigned(listen.substr(colon + 1));
  if (!port || *port > 65535) {
    return fail(Code::invalid, "--listen takes ADDRESS:PORT, such as 127.0.0.1:4600");
  }
  http::ServerOptions options;
  options.host = std::string(listen.substr(0, colon));
  options.port = static_cast<uint16_t>(*port);
  if (!options.host.starts_with("127.") && options.host != "::1") {
    return fail(Code::denied, "{} is no loopback address, and TLS is not supported yet",
                options.host);
  }
  return options;
}

Result<aws::Credentials> load_or_make_credentials(const fs::path& file) {
  if (auto text = read_file(file)) {
    auto document = TRY(json::parse_object(*text));
    return aws::Credentials{TRY(json::get_string(document, "access_key")),
                            TRY(json::get_string(document, "secret_key")), ""};
  } else if (text.error().code != Code::not_found) {
    return Failure(text.error());
  }
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  aws::Credentials made{"TYAK" + random_text(16, kLetters), random_hex(20), ""};
  json::object document{{"access_key", made.access_key}, {"secret_key", made.secret_key}};
  TRY(write_file_atomically(file, json::serialize(document), 0600));
  return made;
}

void print_how_to_use(const std::string& endpoint, const api::Account& account) {
  fmt::print(
      "Trainyard serves at {0}. In the shell of your client:\n"
      "  export AWS_ENDPOINT_URL={0} AWS_DEFAULT_REGION={1}\n"
      "  export AWS_ACCESS_KEY_ID={2} AWS_SECRET_ACCESS_KEY={3}\n",
      endpoint, account.region, account.credentials.access_key, account.credentials.secret_key);
  std::fflush(stdout);
}

Result<> write_ready_file(const fs::path& file, const std::string& endpoint,
                          const api::Account& account) {
  json::object document{{"endpoint", endpoint},
                        {"access_key", account.credentials.access_key},
                        {"secret_key", account.credentials.secret_key},
                        {"region", account.region},
                        {"account_id", account.id},
                        {"pid", ::getpid()}};
  return write_file_atomically(file, json::serialize(document), 0600);
}

}  // namespace

Result<> serve(const ServeOptions& options) {
  // Blocked before any thread starts, so that only the sigwait below sees them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  auto server_options = TRY(parse_listen(options.listen));
  TRY(make_directories(options.data_dir, 0700));
  api::Account account;
  account.credentials = TRY(load_or_make_credentials(options.data_dir / "credentials.json"));
  SystemClock clock;
  auto store = TRY(objects::ObjectStore::open(options.data_dir, clock));
  auto jobs = TRY(jobs::JobStore::open(options.data_dir / "server.db", clock));
  auto logs = TRY(logs::LogStore::open(options.data_dir / "logs.db", clock));
  api::Dispatcher dispatcher(api::Services{account, *store, *jobs, *logs, clock, [] {}});
  auto handle = [&](http::Request& request) { return dispatcher.handle(request); };
  auto server = TRY(http::Server::start(server_options, handle));
  std::string endpoint = fmt::format("http://{}:{}", server_options.host, server->port());
  print_how_to_use(endpoint, account);
  if (!options.ready_file.empty()) {
    TRY(write_ready_file(options.ready_file, endpoint, account));
  }
  int signal = 0;
  sigwait(&ends, &signal);
  log::info("stopping", {{"signal", signal}});
  return {};
}

}  // namespace trainyard
