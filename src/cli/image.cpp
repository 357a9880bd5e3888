// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.hpp"
#include "docker/image_check.hpp"

namespace trainyard::cli {

namespace {

std::string_view word(docker::Finding kind) {
  switch (kind) {
    case docker::Finding::good:
      return "ok";
    case docker::Finding::notice:
      return "note";
    default:
      return "wrong";
  }
}

}  // namespace

Result<int> check_image(const ImageOptions& options, const std::string& image) {
  auto host = TRY(docker::parse_host(options.docker, options.docker_tls));
  auto client = TRY(docker::Client::connect(host));
  auto findings = docker::check_image(client, image);
  if (!findings && findings.error().code == Code::not_found) {
    return fail(Code::not_found, "Docker has no image '{}' here: docker pull it first", image);
  }
  if (!findings) return Failure(std::move(findings).error());
  bool is_wrong = false;
  json::array list;
  for (const docker::ImageFinding& finding : *findings) {
    is_wrong |= finding.kind == docker::Finding::wrong;
    list.push_back(json::object{{"finding", std::string(word(finding.kind))},
                                {"about", finding.about},
                                {"text", finding.text}});
    if (!options.as_json) {
      fmt::print("{:<6} {:<15} {}\n", word(finding.kind), finding.about, finding.text);
    }
  }
  if (options.as_json) fmt::print("{}\n", json::serialize(list));
  return is_wrong ? 1 : 0;
}

}  // namespace trainyard::cli
