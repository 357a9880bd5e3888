// SPDX-License-Identifier: Apache-2.0
#include "sandbox/cgroup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/text.hpp"

namespace trainyard::sandbox {

namespace {

// Files of a control group take one write and cannot be replaced.
Result<> write_control(const fs::path& file, const std::string& text) {
  Fd fd = TRY(open_file(file, O_WRONLY));
  auto written = write_all(fd.get(), text);
  if (!written) return Failure(std::move(written).error().within(file.string()));
  return {};
}

bool is_version_1(const fs::path& group) {
  return group.string().find("/memory/") != std::string::npos;
}

}  // namespace

Result<fs::path> make_memory_group(const std::string& name, int64_t limit_bytes) {
  std::error_code error;
  std::string limit = std::to_string(limit_bytes);
  if (fs::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes", error)) {
    fs::path group = fs::path("/sys/fs/cgroup/memory/trainyard") / name;
    TRY(make_directories(group));
    TRY(write_control(group / "memory.limit_in_bytes", limit));
    // Swap would only make the end slower; hosts without swap accounting lack the file.
    static_cast<void>(write_control(group / "memory.memsw.limit_in_bytes", limit));
    return group;
  }
  fs::path root = "/sys/fs/cgroup";
  if (!fs::exists(root / "cgroup.controllers", error)) {
    return fail(Code::not_found, "no memory controller below /sys/fs/cgroup");
  }
  TRY(make_directories(root / "trainyard"));
  TRY(write_control(root / "cgroup.subtree_control", "+memory"));
  TRY(write_control(root / "trainyard/cgroup.subtree_control", "+memory"));
  fs::path group = root / "trainyard" / name;
  TRY(make_directories(group));
  TRY(write_control(group / "memory.max", limit));
  static_cast<void>(write_control(group / "memory.swap.max", "0"));
  return group;
}

Result<> enter_group(const fs::path& group) {
  return write_control(group / "cgroup.procs", std::to_string(::getpid()));
}

bool was_killed_for_memory(const fs::path& group) {
  auto text = read_file(group / (is_version_1(group) ? "memory.oom_control" : "memory.events"));
  if (!text) return false;
  for (std::string_view line : split(*text, '\n')) {
    constexpr std::string_view kCount = "oom_kill ";
    if (line.starts_with(kCount)) return line.substr(kCount.size()) != "0";
  }
  return false;
}

void remove_group(const fs::path& group) {
  ::rmdir(group.c_str());
}

}  // namespace trainyard::sandbox
