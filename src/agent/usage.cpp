// SPDX-License-Identifier: Apache-2.0
#include "agent/usage.hpp"

#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/process_tree.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"
#include "sandbox/supervise.hpp"

namespace trainyard::agent {

namespace {

constexpr std::chrono::seconds kInterval{4};

struct Use {
  double cpu_seconds = 0;
  double memory_bytes = 0;
};

// Fields of /proc/<pid>/stat behind the name, which may hold anything: proc(5).
void add_process(pid_t pid, Use& use) {
  std::string text = read_file(fmt::format("/proc/{}/stat", pid)).value_or("");
  size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return;
  auto fields = split(std::string_view(text).substr(end_of_name + 2), ' ');
  constexpr size_t kFirstTime = 11;  // utime, stime, cutime, cstime
  constexpr size_t kResidentPages = 21;
  if (fields.size() <= kResidentPages) return;
  for (size_t i = kFirstTime; i < kFirstTime + 4; ++i) {
    use.cpu_seconds +=
        parse_double(fields[i]).value_or(0) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  use.memory_bytes += parse_double(fields[kResidentPages]).value_or(0) *
                      static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// The supervisor's dead children count through its own times of reaped ones.
Use use_of(pid_t supervisor) {
  Use use;
  add_process(supervisor, use);
  for (const Process& process : descendants(supervisor)) add_process(process.id.pid, use);
  return use;
}

// CLOCK_BOOTTIME is what the kernel counts start times with.
std::chrono::milliseconds age_of(const ProcessId& process) {
  timespec uptime{};
  ::clock_gettime(CLOCK_BOOTTIME, &uptime);
  int64_t ticks_per_second = ::sysconf(_SC_CLK_TCK);
  auto started_ms = static_cast<int64_t>(process.start_time) * 1000 / ticks_per_second;
  return std::chrono::milliseconds(uptime.tv_sec * 1000 + uptime.tv_nsec / 1'000'000 - started_ms);
}

double host_memory_bytes() {
  struct sysinfo info {};
  ::sysinfo(&info);
  return static_cast<double>(info.totalram) * info.mem_unit;
}

double disk_percent(const fs::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return 0;
  return 100.0 * (1.0 - static_cast<double>(info.f_bavail) / static_cast<double>(info.f_blocks));
}

// Sums over the devices, as CloudWatch has them: 200 is two devices at work.
struct GpuUse {
  double utilization = 0;
  double memory = 0;
};

std::optional<GpuUse> gpu_use() {
  std::error_code error;
  if (!fs::exists("/dev/nvidiactl", error)) return std::nullopt;
  Command command;
  command.arguments = {"nvidia-smi", "--query-gpu=utilization.gpu,memory.used,memory.total",
                       "--format=csv,noheader,nounits"};
  command.timeout = std::chrono::seconds(5);
  auto ran = run(command);
  if (!ran || ran->exit_code != 0) return std::nullopt;
  GpuUse use;
  for (std::string_view line : split(ran->output, '\n')) {
    auto fields = split(line, ',');
    if (fields.size() != 3) continue;
    use.utilization += parse_double(trim(fields[0])).value_or(0);
    double total = parse_double(trim(fields[2])).value_or(0);
    if (total > 0) use.memory += 100.0 * parse_double(trim(fields[1])).value_or(0) / total;
  }
  return use;
}

}  // namespace

std::vector<protocol::Measurement> UsageMeter::measure() {
  auto now = std::chrono::steady_clock::now();
  if (last_ && now - last_->when < kInterval) return {};
  auto supervisor = sandbox::find_supervisor(folder_ / "run.pid");
  if (!supervisor) {
    last_.reset();
    return {};
  }
  if (!last_) {
    auto age = age_of(*supervisor);
    if (age < std::chrono::seconds(1)) return {};  // too short to say anything
    last_ = Reading{now - age, 0};
  }
  Use use = use_of(supervisor->pid);
  auto before = std::exchange(last_, Reading{now, use.cpu_seconds});
  std::chrono::duration<double> passed = now - before->when;
  auto limit = static_cast<double>(assignment_.host_settings.memory_limit_bytes);
  double memory = limit > 0 ? limit : host_memory_bytes();
  int64_t time_ms = to_epoch_ms(clock_.now());
  double cpu_seconds = std::max(0.0, use.cpu_seconds - before->cpu_seconds);
  std::vector<protocol::Measurement> list = {
      {"CPUUtilization", time_ms, 100.0 * cpu_seconds / passed.count()},
      {"MemoryUtilization", time_ms, std::min(100.0, 100.0 * use.memory_bytes / memory)},
      {"DiskUtilization", time_ms, disk_percent(folder_)}};
  if (auto gpu = gpu_use()) {
    list.push_back({"GPUUtilization", time_ms, gpu->utilization});
    list.push_back({"GPUMemoryUtilization", time_ms, gpu->memory});
  }
  return list;
}

}  // namespace trainyard::agent
