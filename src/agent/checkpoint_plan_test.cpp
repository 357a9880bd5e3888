// SPDX-License-Identifier: Apache-2.0
#include "agent/checkpoint_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace trainyard::agent {

namespace {

Files files(std::initializer_list<const char*> paths) {
  Files made;
  for (const char* path : paths) made[path] = {1, 1, 1};
  return made;
}

std::string head(const std::string& name) {
  return "model_checkpoint_path: \"" + name + "\"\nall_model_checkpoint_paths: \"ckpt-1\"\n";
}

std::string text(const SyncState& state) {
  SyncPlan plan = plan_sync(state);
  return fmt::format("up {} head {} del {}", plan.uploads, plan.heads, plan.deletes);
}

SyncState quiet(Files local) {
  SyncState state;
  state.local = state.before = std::move(local);
  return state;
}

}  // namespace

TEST(CheckpointPlan, data_goes_before_the_index_and_the_index_before_the_head) {
  SyncState state = quiet(files({"ckpt-1.data-00000-of-00001", "ckpt-1.index", "a.txt"}));
  state.heads["checkpoint"] = head("ckpt-1");
  EXPECT_EQ(
      text(state),
      R"(up ["a.txt", "ckpt-1.data-00000-of-00001", "ckpt-1.index"] head ["checkpoint"] del [])");
}

TEST(CheckpointPlan, what_changes_or_is_open_waits) {
  SyncState state = quiet(files({"a", "b", "c"}));
  state.local["a"].size = 2;
  state.open_for_writing = {"b"};
  EXPECT_EQ(text(state), R"(up ["c"] head [] del [])");
  state.moment = Moment::ended;
  EXPECT_EQ(text(state), R"(up ["a", "b", "c"] head [] del [])");
}

TEST(CheckpointPlan, an_index_waits_for_its_data_and_a_head_for_both) {
  SyncState state =
      quiet(files({"ckpt-2.data-00000-of-00002", "ckpt-2.data-00001-of-00002", "ckpt-2.index"}));
  state.heads["checkpoint"] = head("ckpt-2");
  state.open_for_writing = {"ckpt-2.data-00001-of-00002"};
  EXPECT_EQ(text(state), R"(up ["ckpt-2.data-00000-of-00002"] head [] del [])");
  state.open_for_writing.clear();
  state.local.erase("ckpt-2.index");
  state.local.erase("ckpt-2.data-00000-of-00002");
  state.local.erase("ckpt-2.data-00001-of-00002");
  EXPECT_EQ(text(state), R"(up [] head [] del [])") << "a head that names nothing that is here";
}

TEST(CheckpointPlan, what_the_head_in_s3_names_is_not_deleted) {
  SyncState state = quiet(files({"ckpt-2.index"}));
  state.uploaded = files({"ckpt-1.index", "ckpt-0.index"});
  state.uploaded_heads["checkpoint"] = head("ckpt-1");
  state.heads["checkpoint"] = head("ckpt-2");
  state.open_for_writing = {"ckpt-2.index"};
  EXPECT_EQ(text(state), R"(up [] head [] del ["ckpt-0.index"])");
  state.open_for_writing.clear();
  EXPECT_EQ(text(state),
            R"(up ["ckpt-2.index"] head ["checkpoint"] del ["ckpt-0.index", "ckpt-1.index"])");
}

TEST(CheckpointPlan, after_a_kill_only_what_was_whole_goes_up) {
  SyncState state;
  state.moment = Moment::killed;
  state.local = files({"ckpt-3.index", "ckpt-3.data-00000-of-00001", "ckpt-4.index", "model.h5"});
  state.heads["checkpoint"] = head("ckpt-3");
  EXPECT_EQ(text(state),
            R"(up ["ckpt-3.data-00000-of-00001", "ckpt-3.index"] head ["checkpoint"] del [])");
  EXPECT_EQ(plan_sync(state).unsure, (std::vector<std::string>{"ckpt-4.index", "model.h5"}));
  state.before = state.local;
  EXPECT_TRUE(plan_sync(state).unsure.empty());
}

TEST(CheckpointPlan, deletes_are_mirrored_heads_too) {
  SyncState state;
  state.uploaded = files({"logs/a"});
  state.uploaded_heads["logs/checkpoint"] = head("b");
  EXPECT_EQ(text(state), R"(up [] head [] del ["logs/checkpoint", "logs/a"])");
}

TEST(CheckpointPlan, the_newest_is_read_from_the_head) {
  EXPECT_EQ(newest_of("checkpoint", head("ckpt-1")), "ckpt-1");
  EXPECT_EQ(newest_of("a/b/checkpoint", head("ckpt-1")), "a/b/ckpt-1");
  EXPECT_EQ(newest_of("a/checkpoint", head("/opt/ml/checkpoints/a/ckpt-1")), "a/ckpt-1");
  EXPECT_EQ(newest_of("checkpoint", ""), "");
  EXPECT_EQ(newest_of("checkpoint", "model_checkpoint_path: \""), "");
  EXPECT_TRUE(is_head("x/checkpoint"));
  EXPECT_FALSE(is_head("mycheckpoint"));
}

}  // namespace trainyard::agent
