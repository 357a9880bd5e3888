// SPDX-License-Identifier: Apache-2.0
#include "agent/mpi.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/python_text.hpp"
#include "base/text.hpp"

namespace trainyard::agent {

namespace {

constexpr uint64_t kMostProcesses = 100'000;

std::string text_of(const PythonDict& parameters, std::string_view name, std::string otherwise) {
  const PythonValue* value = find(parameters, name);
  return value == nullptr ? std::move(otherwise) : python_str(*value);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (char c : std::string(text) + " ") {
    bool is_blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!is_blank) word += c;
    if (is_blank && !word.empty()) words.push_back(std::exchange(word, ""));
  }
  return words;
}

}  // namespace

MpiOptions mpi_options(const PythonDict& parameters, size_t host_count) {
  MpiOptions options;
  auto per_host =
      parse_unsigned(text_of(parameters, "sagemaker_mpi_num_of_processes_per_host", "1"));
  options.processes_per_host =
      static_cast<int>(std::clamp<uint64_t>(per_host.value_or(1), 1, kMostProcesses));
  options.processes =
      text_of(parameters, "sagemaker_mpi_num_processes",
              std::to_string(static_cast<size_t>(options.processes_per_host) * host_count));
  auto words = words_of(text_of(parameters, "sagemaker_mpi_custom_mpi_options", ""));
  constexpr std::string_view kNccl = "--NCCL_DEBUG";
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == kNccl && i + 1 < words.size()) {
      options.nccl_debug = words[++i];
    } else if (words[i].starts_with(std::string(kNccl) + "=")) {
      options.nccl_debug = words[i].substr(kNccl.size() + 1);
    } else {
      options.custom.push_back(words[i]);
    }
  }
  return options;
}

std::vector<std::string> mpirun_command(const MpiOptions& options,
                                        const std::vector<std::string>& hosts,
                                        const std::vector<std::string>& exported) {
  std::string list;
  for (const std::string& host : hosts) {
    list += (list.empty() ? "" : ",") + host;
    if (options.processes_per_host > 1) list += fmt::format(":{}", options.processes_per_host);
  }
  std::vector<std::string> words{"mpirun", "--host", list, "-np", options.processes};
  auto add = [&](std::initializer_list<std::string> more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  add({"--allow-run-as-root", "--display-map", "--tag-output"});
  add({"-mca", "btl_tcp_if_include", "eth0", "-mca", "oob_tcp_if_include", "eth0"});
  add({"-mca", "plm_rsh_no_tree_spawn", "1", "-bind-to", "none", "-map-by", "slot"});
  add({"-mca", "pml", "ob1", "-mca", "btl", "^openib"});
  add({"-mca", "orte_abort_on_non_zero_status", "1"});
  add({"-mca", "btl_vader_single_copy_mechanism", "none"});
  add({"-x", "NCCL_MIN_NRINGS=4", "-x", "NCCL_SOCKET_IFNAME=eth0"});
  add({"-x", "NCCL_DEBUG=" + options.nccl_debug, "-x", "LD_LIBRARY_PATH", "-x", "PATH"});
  words.insert(words.end(), options.custom.begin(), options.custom.end());
  for (const std::string& name : exported) add({"-x", name});
  return words;
}

std::vector<std::string> rank_command(std::vector<std::string> script_command,
                                      const std::string& python) {
  if (script_command.empty() || script_command[0] != python) return script_command;
  script_command.insert(script_command.begin() + 1, {"-m", "mpi4py"});
  return script_command;
}

}  // namespace trainyard::agent
