// SPDX-License-Identifier: Apache-2.0
#include "agent/diagnosis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "agent/traceback.hpp"
#include "base/text.hpp"

namespace trainyard::agent {

namespace {

constexpr int kFirstSignal = 128;
constexpr std::string_view kDataFolder = "/opt/ml/input/data/";

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

std::string place_of(const PythonError& error) {
  const Frame* frame = error.frame();
  return frame == nullptr ? "" : fmt::format(" ({})", frame->text());
}

std::string line_of(const PythonError& error) {
  return fmt::format("{}{}", first_line(error.message), place_of(error));
}

// The name that begins at `at`, as channels are named.
std::string channel_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
                               std::strchr("._-", text[end]) != nullptr)) {
    ++end;
  }
  return std::string(text.substr(at, end - at));
}

// "SM_CHANNEL_TRAIN" or "/opt/ml/input/data/train" in the message, and there is no such channel.
std::optional<std::string> missing_channel(const PythonError& error, const Evidence& evidence) {
  for (std::string_view mark : {std::string_view("SM_CHANNEL_"), kDataFolder}) {
    size_t at = error.message.find(mark);
    if (at == std::string::npos) continue;
    std::string name = channel_at(error.message, at + mark.size());
    bool is_there =
        std::any_of(evidence.channels.begin(), evidence.channels.end(),
                    [&](const std::string& channel) { return equal_ignoring_case(channel, name); });
    if (!name.empty() && !is_there) return mark == kDataFolder ? name : to_lower(name);
  }
  return std::nullopt;
}

std::string last_lines(std::string_view output, size_t count) {
  std::string text = to_valid_utf8(trim(output));
  size_t begin = text.size();
  while (count > 0 && begin != 0) {
    begin = text.rfind('\n', begin - 1);
    --count;
    if (begin == std::string::npos) return text;
  }
  return text.substr(std::min(begin + 1, text.size()));
}

std::string last_words(const Evidence& evidence) {
  std::string line = last_lines(evidence.output, 1);
  return line.empty() ? "it printed nothing" : fmt::format("it last printed: {}", line);
}

bool says_disk_full(std::string_view output) {
  constexpr std::array<std::string_view, 2> kTexts = {"No space left on device",
                                                      "Disk quota exceeded"};
  return std::any_of(kTexts.begin(), kTexts.end(), [&](std::string_view text) {
    return output.find(text) != std::string_view::npos;
  });
}

std::string missing_module(const PythonError& error) {
  constexpr std::string_view kText = "No module named '";
  size_t at = error.message.find(kText);
  if (at == std::string::npos) return "";
  size_t begin = at + kText.size();
  return error.message.substr(begin, error.message.find_first_of(".'", begin) - begin);
}

// One kind of end; nullopt: the evidence does not show it. `error` may be null.
using Finding = std::optional<Diagnosis>;

Finding find_memory(const Evidence& evidence, const PythonError*) {
  if (evidence.memory.empty()) return std::nullopt;
  return Diagnosis{evidence.memory, "",
                   "give jobs more memory (trainyard serve --job-memory-mib), or make batches, "
                   "shuffle buffers and caches smaller"};
}

Finding find_broken_record(const Evidence& evidence, const PythonError* error) {
  if (evidence.broken_record.empty()) return std::nullopt;
  std::string place = error == nullptr ? "" : place_of(*error);
  return Diagnosis{fmt::format("DataLossError: {}{}", evidence.broken_record, place), "",
                   "write the object again, or leave it out of the channel"};
}

Finding find_full_disk(const Evidence& evidence, const PythonError* error) {
  if (!says_disk_full(error == nullptr ? last_lines(evidence.output, 5) : error->message)) {
    return std::nullopt;
  }
  std::string what = error == nullptr ? last_words(evidence) : line_of(*error);
  std::string left =
      evidence.free_bytes ? fmt::format(", {} free", format_bytes(*evidence.free_bytes)) : "";
  return Diagnosis{fmt::format("disk full{}: {}", left, what), "",
                   "free space on the disk of the service's data dir, or write less"};
}

Finding find_missing_channel(const Evidence& evidence, const PythonError* error) {
  auto name = error == nullptr ? std::nullopt : missing_channel(*error, evidence);
  if (!name) return std::nullopt;
  std::string there = evidence.channels.empty()
                          ? "the job has none"
                          : fmt::format("there are {}", fmt::join(evidence.channels, ", "));
  return Diagnosis{
      fmt::format("missing channel '{}', {}: {}", *name, there, line_of(*error)), "",
      fmt::format("add channel '{}' to the job's inputs (fit({{'{}': 's3://…'}}))", *name, *name)};
}

// "As by": sys.exit(137) looks the same from outside of the walls.
Finding find_signal(const Evidence& evidence, const PythonError*) {
  int signal = evidence.exit_code - kFirstSignal;
  const char* name = signal > 0 ? ::sigabbrev_np(signal) : nullptr;
  if (name == nullptr) return std::nullopt;
  return Diagnosis{
      fmt::format("ended as by SIG{} (signal {}); {}", name, signal, last_words(evidence)), "", ""};
}

// Python ends with 1 for an exception that nobody caught; with another code, one that was printed
// need not be what ended the script.
Finding find_exception(const Evidence& evidence, const PythonError* error) {
  if (error == nullptr || evidence.exit_code != 1) return std::nullopt;
  std::string module = missing_module(*error);
  std::string advice =
      module.empty() ? "" : fmt::format("add '{}' to requirements.txt in source_dir", module);
  return Diagnosis{line_of(*error), "", std::move(advice)};
}

// What argparse prints: "train.py: error: unrecognized arguments: --rate 0.1".
Finding find_usage_error(const Evidence& evidence, const PythonError*) {
  std::string line = last_lines(evidence.output, 1);
  if (evidence.exit_code != 2 || line.find(": error: ") == std::string::npos) return std::nullopt;
  bool is_unknown = line.find("unrecognized arguments") != std::string::npos;
  return Diagnosis{line, "",
                   is_unknown ? "hyperparameters become arguments: the script has to take them, or "
                                "the job has to leave them out"
                              : ""};
}

Diagnosis find_nothing(const Evidence& evidence) {
  return {fmt::format("exit code {}; {}", evidence.exit_code, last_words(evidence)), "", ""};
}

// The cause first, then what the script said about it without saying the same line again.
std::string detail_of(const Diagnosis& diagnosis, const Evidence& evidence,
                      const PythonError* error) {
  constexpr size_t kTail = 10;
  std::string said = error != nullptr ? error->message : last_lines(evidence.output, kTail);
  if (error != nullptr && diagnosis.cause.find(first_line(said)) != std::string::npos) {
    said.erase(0, std::min(first_line(said).size() + 1, said.size()));
  }
  return said.empty() || diagnosis.cause.ends_with(said) ? diagnosis.cause
                                                         : diagnosis.cause + "\n" + said;
}

}  // namespace

Diagnosis diagnose(const Evidence& evidence) {
  auto error = find_python_error(evidence.output);
  const PythonError* printed = error ? &*error : nullptr;
  // What was counted or checked, before what was printed.
  constexpr std::array kFindings = {find_memory,          find_broken_record, find_full_disk,
                                    find_missing_channel, find_signal,        find_exception,
                                    find_usage_error};
  Finding found;
  for (auto* find : kFindings) {
    found = find(evidence, printed);
    if (found) break;
  }
  Diagnosis diagnosis = found ? *found : find_nothing(evidence);
  diagnosis.detail = detail_of(diagnosis, evidence, printed);
  return diagnosis;
}

std::string Diagnosis::text() const {
  std::string rest = detail.starts_with(cause) ? detail.substr(cause.size()) : "\n" + detail;
  return fmt::format("cause: {}{}{}{}", cause, advice.empty() ? "" : "\nadvice: ", advice,
                     rest.empty() ? "" : "\nit printed:" + rest);
}

std::optional<DataLoss> find_data_loss(std::string_view output) {
  auto error = find_python_error(output);
  if (!error || error->name.find("DataLossError") == std::string::npos) return std::nullopt;
  for (std::string_view mark : {"corrupted record at ", "truncated record at "}) {
    size_t at = error->message.find(mark);
    if (at == std::string::npos) continue;
    size_t begin = at + mark.size();
    size_t end = error->message.find_first_not_of("0123456789", begin);
    return DataLoss{parse_unsigned(std::string_view(error->message).substr(begin, end - begin))};
  }
  return DataLoss{};
}

}  // namespace trainyard::agent
