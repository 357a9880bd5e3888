// SPDX-License-Identifier: Apache-2.0
#include "agent/traceback.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace trainyard::agent {

namespace {

constexpr std::string_view kCode = "/opt/ml/code/";
constexpr std::string_view kPackages = "site-packages/";
constexpr std::string_view kHead = "Traceback (most recent call last):";

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
}

// "ValueError: bad rate" -> "ValueError"; empty where the line begins with no name.
std::string_view leading_name(std::string_view line) {
  size_t end = 0;
  while (end < line.size() && is_name_character(line[end])) ++end;
  bool ends_well = end == line.size() || line[end] == ':';
  return ends_well ? line.substr(0, end) : std::string_view();
}

// Without a traceback before it, as SyntaxErrors and messages of frameworks are printed.
bool has_exception_name(std::string_view line) {
  constexpr std::array<std::string_view, 5> kEndings = {"Error", "Exception", "Interrupt", "Exit",
                                                        "Iteration"};
  std::string_view name = leading_name(line);
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

// '  File "/opt/ml/code/train.py", line 12, in main'
std::optional<Frame> parse_frame(std::string_view line) {
  constexpr std::string_view kFile = "File \"";
  constexpr std::string_view kLine = "\", line ";
  constexpr std::string_view kIn = ", in ";
  line = trim(line);
  if (!line.starts_with(kFile)) return std::nullopt;
  size_t end = line.find(kLine);
  if (end == std::string_view::npos) return std::nullopt;
  Frame frame;
  frame.file = line.substr(kFile.size(), end - kFile.size());
  std::string_view rest = line.substr(end + kLine.size());
  size_t in = rest.find(kIn);
  frame.line = rest.substr(0, in);
  if (in != std::string_view::npos) frame.function = rest.substr(in + kIn.size());
  return frame;
}

struct Found {
  PythonError error;
  bool is_ignored = false;  // the interpreter went on after it
};

bool is_indented(std::string_view line) {
  return line.starts_with(' ') || line.starts_with('\t');
}

// From `begin`, a line with the exception's name, to the next traceback or the end.
std::string message_from(const std::vector<std::string_view>& lines, size_t begin) {
  constexpr std::array<std::string_view, 3> kNext = {
      kHead, "During handling of the above exception", "The above exception was the direct"};
  std::string message;
  for (size_t i = begin; i < lines.size(); ++i) {
    bool is_over = std::any_of(kNext.begin(), kNext.end(),
                               [&](std::string_view next) { return lines[i].starts_with(next); });
    if (is_over || (i > begin && lines[i].starts_with("Exception ignored in"))) break;
    if (i > begin) message += '\n';
    message += lines[i];
  }
  return std::string(trim(message));
}

std::vector<Found> find_tracebacks(const std::vector<std::string_view>& lines) {
  std::vector<Found> all;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i] != kHead) continue;
    Found found;
    found.is_ignored = i > 0 && lines[i - 1].starts_with("Exception ignored in");
    size_t at = i + 1;
    for (; at < lines.size() && (is_indented(lines[at]) || lines[at].empty()); ++at) {
      if (auto frame = parse_frame(lines[at])) found.error.frames.push_back(std::move(*frame));
    }
    if (at == lines.size() || leading_name(lines[at]).empty()) continue;
    found.error.name = leading_name(lines[at]);
    found.error.message = message_from(lines, at);
    all.push_back(std::move(found));
  }
  return all;
}

std::optional<PythonError> find_bare_error(const std::vector<std::string_view>& lines) {
  auto last = std::find_if(lines.rbegin(), lines.rend(), has_exception_name);
  if (last == lines.rend()) return std::nullopt;
  auto index = static_cast<size_t>(lines.rend() - last) - 1;
  PythonError error;
  error.name = leading_name(*last);
  error.message = message_from(lines, index);
  // A SyntaxError shows its place in the lines above: File, the source, a caret.
  constexpr size_t kAbove = 4;
  for (size_t i = index - std::min(kAbove, index); i < index; ++i) {
    if (auto frame = parse_frame(lines[i])) error.frames.push_back(std::move(*frame));
  }
  return error;
}

}  // namespace

std::string Frame::text() const {
  std::string_view shown = file;
  for (std::string_view root : {kCode, kPackages}) {
    size_t at = shown.rfind(root);
    if (at != std::string_view::npos) shown = shown.substr(at + root.size());
  }
  return fmt::format("{}:{}{}{}", shown, line, function.empty() ? "" : " in ", function);
}

const Frame* PythonError::frame() const {
  auto own = std::find_if(frames.rbegin(), frames.rend(), [](const Frame& frame) {
    bool is_relative = !frame.file.starts_with('/') && !frame.file.starts_with('<');
    return is_relative || frame.file.find(kCode) != std::string::npos;
  });
  if (own != frames.rend()) return &*own;
  return frames.empty() ? nullptr : &frames.back();
}

std::optional<PythonError> find_python_error(std::string_view output) {
  std::string text = to_valid_utf8(trim(replace_all(std::string(output), "\r\n", "\n")));
  auto lines = split(text, '\n');
  auto tracebacks = find_tracebacks(lines);
  std::erase_if(tracebacks, [](const Found& found) { return found.is_ignored; });
  if (tracebacks.empty()) return find_bare_error(lines);
  // torchrun's own exception says only which worker failed.
  auto is_launcher = [](const Found& found) {
    return found.error.name.ends_with("ChildFailedError");
  };
  if (tracebacks.size() > 1 && is_launcher(tracebacks.back())) tracebacks.pop_back();
  return tracebacks.back().error;
}

}  // namespace trainyard::agent
