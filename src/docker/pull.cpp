// SPDX-License-Identifier: Apache-2.0
#include "docker/pull.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

namespace trainyard::docker {

namespace {

constexpr size_t kMaxLineBytes = 1 << 20;
constexpr size_t kMaxLayers = 4096;

Code code_of(std::string_view message) {
  auto has = [&](std::string_view word) { return message.find(word) != std::string_view::npos; };
  if (has("not found") || has("manifest unknown") || has("does not exist")) return Code::not_found;
  if (has("denied") || has("unauthorized") || has("authentication required")) return Code::denied;
  return Code::unavailable;
}

}  // namespace

Result<> PullProgress::push(std::string_view bytes) {
  partial_ += bytes;
  size_t begin = 0;
  for (size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    TRY(take_line(std::string_view(partial_).substr(begin, end - begin)));
  }
  partial_.erase(0, begin);
  if (partial_.size() <= kMaxLineBytes) return {};
  return fail(Code::invalid, "the daemon's answer has no end of line");
}

Result<> PullProgress::finish() {
  std::string last = std::exchange(partial_, {});
  return take_line(last);
}

Result<> PullProgress::take_line(std::string_view line) {
  auto parsed = json::parse_object(trim(line));
  if (!parsed) return {};
  if (auto error = json::find_string(*parsed, "error")) {
    return fail(code_of(*error), "{}", *error);
  }
  auto layer = json::find_string(*parsed, "id");
  auto status = json::find_string(*parsed, "status");
  if (!layer || !status) return {};
  auto known = layers_.find(*layer);
  if (*status == "Download complete" || *status == "Pull complete") {
    if (known != layers_.end()) known->second.done = known->second.total;
    return {};
  }
  const json::object* detail = json::find_object(*parsed, "progressDetail");
  if (*status != "Downloading" || detail == nullptr) return {};
  int64_t current = json::find_integer(*detail, "current").value_or(0);
  int64_t total = json::find_integer(*detail, "total").value_or(0);
  constexpr int64_t kMaxBytes = int64_t{1} << 50;
  bool is_new = known == layers_.end();
  if (current < 0 || total < current || total > kMaxBytes ||
      (is_new && layers_.size() >= kMaxLayers))
    return {};
  layers_[*layer] = {static_cast<uint64_t>(current), static_cast<uint64_t>(total)};
  return {};
}

uint64_t PullProgress::done_bytes() const {
  uint64_t sum = 0;
  for (const auto& [id, layer] : layers_) sum += layer.done;
  return sum;
}

uint64_t PullProgress::total_bytes() const {
  uint64_t sum = 0;
  for (const auto& [id, layer] : layers_) sum += layer.total;
  return sum;
}

std::string PullProgress::text() const {
  uint64_t total = total_bytes();
  if (total == 0) return "";
  double share = static_cast<double>(done_bytes()) / static_cast<double>(total);
  return fmt::format("{} % of {}", static_cast<int>(share * 100), format_bytes(total));
}

}  // namespace trainyard::docker
