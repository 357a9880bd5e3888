// SPDX-License-Identifier: Apache-2.0
#include "agent/runner.hpp"

#include "agent/container_runner.hpp"

namespace trainyard::agent {

namespace {

class WalledRunner : public Runner {
 public:
  Result<> find(Context& context) override { return find_recipe(context); }
  bool is_at_hand(Context& context) override {
    return context.builder().find(context.recipe).has_value();
  }
  Result<> make(Context& context) override { return make_environment(context); }
  Result<> install(Context& context) override { return install_requirements(context); }
  void take_over(Context& context) override {
    context.layer = context.folder / "layer";
    // Left out where the catalogue has changed meanwhile: the script runs already.
    static_cast<void>(look_up_recipe(context));
  }
  Result<Plan> plan(const Context& context) override { return make_plan(context); }
  Result<ChildEnd> run(const Context& context, const ChildPlan& plan) override {
    return run_child(context, plan);
  }
  std::string memory_evidence(const Context& context) override {
    return agent::memory_evidence(context);
  }
  void clean_up(const Context& context) override { remove_control_groups(context); }
};

}  // namespace

std::shared_ptr<Runner> make_runner(const Context& context) {
  if (context.is_in_container()) return std::make_shared<ContainerRunner>();
  return std::make_shared<WalledRunner>();
}

}  // namespace trainyard::agent
