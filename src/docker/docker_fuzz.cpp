// SPDX-License-Identifier: Apache-2.0
// What a daemon, or something that stands in its place, may send.
#include "base/check.hpp"
#include "docker/client.hpp"
#include "docker/frames.hpp"
#include "docker/pull.hpp"
#include "docker/registry_auth.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  // However the bytes are cut, the frames are the same.
  std::string whole;
  std::string cut;
  auto into = [](std::string& target) {
    return [&target](std::string_view payload) {
      target.append(payload).push_back('|');
      return Result<>();
    };
  };
  docker::FrameParser at_once(into(whole));
  bool is_good = at_once.push(text).has_value();
  docker::FrameParser by_bytes(into(cut));
  bool is_cut_good = true;
  for (size_t i = 0; i < size && is_cut_good; ++i) {
    is_cut_good = by_bytes.push(text.substr(i, 1)).has_value();
  }
  CHECK(is_good == is_cut_good && whole == cut, "frames do not depend on how they arrive");

  docker::PullProgress progress;
  if (progress.push(text)) static_cast<void>(progress.finish());
  CHECK(progress.done_bytes() <= progress.total_bytes(), "no more is done than there is");
  if (auto reference = docker::parse_reference(text)) {
    CHECK(!reference->repository.empty() && !reference->version().empty(), "it names something");
  }
  auto document = json::parse_object(text);
  if (!document) return 0;
  static_cast<void>(docker::choose_version(*document));
  static_cast<void>(docker::parse_image(*document));
  static_cast<void>(docker::parse_container(*document));
  static_cast<void>(docker::parse_network(*document));
  static_cast<void>(docker::auth_in(*document, "docker.io"));
  return 0;
}
