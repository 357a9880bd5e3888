// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster.hpp"

#include <algorithm>
#include <array>

namespace trainyard::agent {

namespace {

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// `text in value`, of Python
bool is_in(std::string_view text, const PythonValue& value) {
  if (const auto* whole = value.if_text()) return whole->find(text) != std::string::npos;
  if (const auto* dict = value.if_dict()) return find(*dict, text) != nullptr;
  const PythonList* list = value.if_list();
  return list != nullptr && std::any_of(list->begin(), list->end(), [&](const PythonValue& item) {
           return item.if_text() != nullptr && *item.if_text() == text;
         });
}

PythonValue distribution_groups(const PythonDict& parameters, const std::string& current_group) {
  const PythonValue* named = find(parameters, "sagemaker_distribution_instance_groups");
  if (named != nullptr) return *named;
  constexpr auto kFlags = std::to_array<std::string_view>(
      {"sagemaker_mpi_enabled", "sagemaker_parameter_server_enabled",
       "sagemaker_distributed_dataparallel_enabled", "sagemaker_pytorch_ddp_enabled",
       "sagemaker_pytorch_xla_multi_worker_enabled",
       "sagemaker_multi_worker_mirrored_strategy_enabled", "sagemaker_torch_distributed_enabled"});
  bool is_any = std::any_of(kFlags.begin(), kFlags.end(),
                            [&](std::string_view flag) { return is_enabled(parameters, flag); });
  return is_any ? PythonList{current_group} : PythonList{};
}

PythonValue addresses(const std::vector<std::string>& hosts, const char* port) {
  PythonList list;
  for (const std::string& host : hosts) list.emplace_back(host + ":" + port);
  return list;
}

int64_t index_of(const std::vector<std::string>& hosts, const std::string& host) {
  return std::find(hosts.begin(), hosts.end(), host) - hosts.begin();
}

PythonDict task(int64_t index, const char* type) {
  return {{"index", index}, {"type", type}};
}

}  // namespace

bool is_enabled(const PythonDict& parameters, std::string_view name) {
  const PythonValue* value = find(parameters, name);
  return value != nullptr && value->is_true();
}

Cluster cluster_of(const protocol::Assignment& assignment, const PythonDict& parameters) {
  Cluster cluster;
  cluster.groups = protocol::groups_of(assignment);
  for (const protocol::InstanceGroup& group : cluster.groups) {
    if (!contains(group.hosts, assignment.host)) continue;
    cluster.current_group = group.name;
    cluster.current_group_hosts = group.hosts;
    break;
  }
  cluster.distribution_groups = distribution_groups(parameters, cluster.current_group);
  for (const protocol::InstanceGroup& group : cluster.groups) {
    if (!is_in(group.name, cluster.distribution_groups)) continue;
    cluster.distribution_hosts.insert(cluster.distribution_hosts.end(), group.hosts.begin(),
                                      group.hosts.end());
  }
  const auto& leaders =
      cluster.distribution_hosts.empty() ? assignment.hosts : cluster.distribution_hosts;
  cluster.master = leaders.empty() ? assignment.host : leaders.front();
  cluster.is_distributed = is_in(cluster.current_group, cluster.distribution_groups);
  return cluster;
}

PythonValue tf_config_for_parameter_servers(const std::vector<std::string>& hosts,
                                            const std::string& host) {
  std::vector<std::string> master(hosts.begin(), hosts.begin() + (hosts.empty() ? 0 : 1));
  std::vector<std::string> workers(hosts.begin() + static_cast<std::ptrdiff_t>(master.size()),
                                   hosts.end());
  PythonDict jobs{{"master", addresses(master, "2222")}};
  if (hosts.size() > 1) {
    jobs.emplace_back("ps", addresses(hosts, "2223"));
    jobs.emplace_back("worker", addresses(workers, "2222"));
  }
  bool is_master = contains(master, host);
  return PythonDict{
      {"cluster", std::move(jobs)},
      {"environment", "cloud"},
      {"task", is_master ? task(0, "master") : task(index_of(workers, host), "worker")}};
}

PythonValue tf_config_for_workers(const std::vector<std::string>& hosts, const std::string& host) {
  return PythonDict{{"cluster", PythonDict{{"worker", addresses(hosts, "8890")}}},
                    {"environment", "cloud"},
                    {"task", task(index_of(hosts, host), "worker")}};
}

std::optional<PythonValue> tf_config(const protocol::Assignment& assignment,
                                     const PythonDict& parameters, const Cluster& cluster) {
  if (!cluster.is_distributed) return std::nullopt;
  bool has_servers =
      is_enabled(parameters, "sagemaker_parameter_server_enabled") && assignment.hosts.size() > 1;
  if (has_servers) {
    return tf_config_for_parameter_servers(cluster.distribution_hosts, assignment.host);
  }
  if (is_enabled(parameters, "sagemaker_multi_worker_mirrored_strategy_enabled")) {
    return tf_config_for_workers(cluster.distribution_hosts, assignment.host);
  }
  return std::nullopt;
}

}  // namespace trainyard::agent
