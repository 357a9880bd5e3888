// SPDX-License-Identifier: Apache-2.0
// How a job's program comes to run on this host: behind walls, with a managed environment, or in a
// container of its image. The stages around it are the same for both.
#pragma once

#include <memory>
#include <string>

#include "agent/child.hpp"
#include "agent/plan.hpp"
#include "agent/stages.hpp"

namespace trainyard::agent {

class Runner {
 public:
  virtual ~Runner() = default;

  // What the image's name stands for; a FailureReason where that is nothing.
  virtual Result<> find(Context& context) = 0;
  virtual bool is_at_hand(Context& context) = 0;  // make() has nothing to download
  virtual Result<> make(Context& context) = 0;
  // requirements.txt and packages, where that is ours to do.
  virtual Result<> install(Context& context) = 0;
  // Instead of the above, for an agent that finds the program running or ended.
  virtual void take_over(Context& context) = 0;

  virtual Result<Plan> plan(const Context& context) = 0;
  // As run_child().
  virtual Result<ChildEnd> run(const Context& context, const ChildPlan& plan) = 0;
  // "killed for memory: …" where that is known, else "". Requires: run() has returned.
  virtual std::string memory_evidence(const Context& context) = 0;
  virtual void clean_up(const Context& context) = 0;
};

// As the host settings say.
std::shared_ptr<Runner> make_runner(const Context& context);

}  // namespace trainyard::agent
