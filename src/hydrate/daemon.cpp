// SPDX-License-Identifier: Apache-2.0
#include "hydrate/daemon.hpp"

#include <signal.h>
#include <unistd.h>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/process_tree.hpp"
#include "hydrate/guardian.hpp"
#include "hydrate/state_files.hpp"
#include "hydrate/trial.hpp"

namespace trainyard::hydrate {

namespace {

struct Tier {
  std::string name;
  MakeFront make;
};

Result<> announce(const HydratePlan& plan, const std::string& tier, const std::string& note) {
  json::object ready{
      {"tier", tier}, {"files", plan.files.size()}, {"tree", plan.tree.string()}, {"note", note}};
  return write_file_atomically(ready_file(plan.state), json::serialize(ready), 0600);
}

Result<> serve_tier(const HydratePlan& plan, const Tier& tier, const std::string& note) {
  std::vector<uint64_t> sizes;
  for (const LazyFile& file : plan.files) sizes.push_back(file.size);
  ChunkMap map = TRY(ChunkMap::make(sizes));
  for (uint32_t file = 0; file < map.file_count(); ++file) {
    if (sizes[file] == 0) map.set_status(file, FileStatus::complete);
  }
  auto front = TRY(tier.make(plan, map));
  std::string own = front->note();
  std::string notes = note + (note.empty() || own.empty() ? "" : "; ") + own;
  log::info("shows the files", {{"tier", tier.name}, {"note", notes}});
  return run_guardian(plan, map, *front, s3_source(plan),
                      [&] { return announce(plan, tier.name, notes); });
}

Result<> serve(const HydratePlan& plan, const std::vector<Tier>& tiers) {
  std::string note;
  for (const Tier& tier : tiers) {
    if (plan.tier != "auto" && plan.tier != tier.name) continue;
    auto done = self_test(plan, tier.make);
    if (done) {
      done = serve_tier(plan, tier, note);
      std::error_code error;
      bool has_served = fs::exists(ready_file(plan.state), error);
      if (done || has_served || done.error().code == Code::exhausted) return done;
      TRY(remove_tree(plan.tree));
    }
    if (!note.empty()) note += "; ";
    note += tier.name + ": " + done.error().message;
    log::warn("a tier does not work here", {{"tier", tier.name}, {"cause", done.error().message}});
  }
  return fail(Code::unavailable, "FastFile does not work on this host, use File mode: {}", note);
}

Result<> run(const fs::path& file, const MakeFront& make_fuse_front) {
  // First of all, so that whoever comes after an agent that was killed finds this process.
  auto self = identify(::getpid());
  if (!self) return fail(Code::internal, "this process is not in /proc");
  TRY(write_process(guardian_file(file.parent_path()), *self));
  auto text = TRY(read_file(file, 1 << 30));
  HydratePlan plan = TRY(parse_plan(text));
  ::unlink(file.c_str());  // it holds credentials, and no second daemon may start from it
  TRY(make_directories(plan.tree.parent_path()));
  TRY(check_space(plan.tree.parent_path(), plan.files));
  return serve(plan, {{"fanotify", make_fanotify_front}, {"fuse", make_fuse_front}});
}

}  // namespace

int run_daemon(const fs::path& plan_file, const MakeFront& make_fuse_front) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  auto done = run(plan_file, make_fuse_front);
  if (done) return 0;
  log::error("hydrate", {{"cause", done.error().message}});
  json::object failed{{"code", static_cast<int64_t>(done.error().code)},
                      {"message", done.error().message}};
  auto written =
      write_file_atomically(failed_file(plan_file.parent_path()), json::serialize(failed), 0600);
  if (!written) log::error("hydrate", {{"cause", written.error().message}});
  return 1;
}

}  // namespace trainyard::hydrate
