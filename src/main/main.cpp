// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdlib>

#include "main/serve.hpp"

namespace {

std::string default_data_dir() {
  if (const char* data = std::getenv("XDG_DATA_HOME")) return std::string(data) + "/trainyard";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.local/share/trainyard";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Trainyard: a self-hosted training service with SageMaker's API");
  app.require_subcommand(1);
  trainyard::ServeOptions options;
  options.data_dir = default_data_dir();
  auto* serve = app.add_subcommand("serve", "Run the service until it gets SIGTERM");
  serve->add_option("--listen", options.listen, "ADDRESS:PORT; port 0 picks a free one")
      ->capture_default_str();
  serve->add_option("--data-dir", options.data_dir, "Folder of all state")->capture_default_str();
  serve->add_option("--ready-file", options.ready_file,
                    "Written once it answers: endpoint, keys, region, account, pid as JSON");
  CLI11_PARSE(app, argc, argv);

  auto result = trainyard::serve(options);
  if (result) return 0;
  fmt::print(stderr, "trainyard: {}\n", result.error().message);
  return 1;
}
