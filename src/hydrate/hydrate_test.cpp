// SPDX-License-Identifier: Apache-2.0
#include "hydrate/hydrate.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/random.hpp"
#include "hydrate/backing.hpp"
#include "hydrate/state_files.hpp"
#include "hydrate/trial.hpp"

namespace trainyard::hydrate {
namespace {

// On the checkout's disk: a tmpfs takes no marks.
class HydrateTest : public testing::Test {
 protected:
  HydrateTest() : folder_(fs::current_path() / ("hydrate-" + random_hex(6))) {
    EXPECT_TRUE(make_directories(folder_));
  }
  ~HydrateTest() override { EXPECT_TRUE(remove_tree(folder_)); }

  HydratePlan plan() const {
    HydratePlan plan;
    plan.access = {"http://127.0.0.1:9", "us-west-2", {"key", "secret", "token"}};
    plan.tree = folder_ / "tree";
    plan.state = folder_ / "state";
    plan.files = {{"a/b", {"bucket", "k/a"}, "\"e\"", 5000}, {"c", {"bucket", "c"}, "", 0}};
    return plan;
  }

  fs::path folder_;
};

TEST_F(HydrateTest, APlanComesBackFromItsText) {
  HydratePlan plan = this->plan();
  plan.tier = "fuse";
  plan.stall_timeout = std::chrono::seconds(7);
  auto parsed = parse_plan(to_json(plan));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(to_json(*parsed), to_json(plan));
  EXPECT_EQ(parsed->files[0].object.text(), "s3://bucket/k/a");
  EXPECT_EQ(parsed->stall_timeout.count(), 7);
}

TEST_F(HydrateTest, PathsThatLeaveTheTreeOrCollideAreRefused) {
  for (std::vector<std::string> paths :
       std::vector<std::vector<std::string>>{{""},
                                             {"/etc/passwd"},
                                             {"../x"},
                                             {"a/../../x"},
                                             {"a/./b"},
                                             {"a/"},
                                             {"a//b"},
                                             {"a", "a"},
                                             {"a", "a/b"},
                                             {"a/b/c", "a/b"},
                                             {std::string("a\0b", 3)}}) {
    HydratePlan plan = this->plan();
    plan.files.clear();
    for (const std::string& path : paths) plan.files.push_back({path, {"b", "k"}, "", 1});
    EXPECT_FALSE(parse_plan(to_json(plan))) << paths.back();
  }
}

TEST_F(HydrateTest, TextThatIsNoPlanIsRefused) {
  for (const char* text : {"", "{}", "[]", "null", R"({"files":[1]})"}) {
    EXPECT_FALSE(parse_plan(text)) << text;
  }
  std::string good = to_json(plan());
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(parse_plan(good.substr(0, length)));
  }
}

TEST_F(HydrateTest, FilesHaveTheirLengthAndTheirBlocksFromTheStart) {
  HydratePlan plan = this->plan();
  auto backing = make_tree(plan.tree, plan.files);
  ASSERT_TRUE(backing) << backing.error().message;
  struct stat status {};
  ASSERT_EQ(::stat((plan.tree / "a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 5000);
  EXPECT_GE(status.st_blocks * 512, 5000);
  EXPECT_EQ(status.st_mode & 07777, 0444u);
  ASSERT_EQ(::stat((plan.tree / "c").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 0);
}

TEST_F(HydrateTest, MoreThanTheDiskHoldsIsRefusedBeforeAnythingIsMade) {
  HydratePlan plan = this->plan();
  plan.files.push_back({"huge", {"b", "huge"}, "", uint64_t{1} << 60});
  auto backing = make_tree(plan.tree, plan.files);
  ASSERT_FALSE(backing);
  EXPECT_EQ(backing.error().code, Code::exhausted);
  EXPECT_NE(backing.error().message.find("free on the disk"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(plan.tree));
}

TEST_F(HydrateTest, TheFirstErrorStays) {
  fs::path state = folder_;
  EXPECT_FALSE(first_error(state));
  record_error(state, {"s3://b/first", 4096, "why \xff"});
  record_error(state, {"s3://b/second", 1, "too late"});
  auto error = first_error(state);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->text(), "s3://b/first at byte 4096: why \xEF\xBF\xBD");
}

TEST_F(HydrateTest, ThereIsNoDaemonWhereNoneWasStartedAndStoppingItIsFine) {
  EXPECT_FALSE(find(folder_ / "state"));
  EXPECT_TRUE(stop(folder_ / "state"));
}

TEST_F(HydrateTest, ADaemonThatCannotRunIsAnError) {
  auto started = start("/bin/false", plan());
  EXPECT_FALSE(started);
  started = start("/nowhere/trainyard", plan());
  EXPECT_FALSE(started);
}

// What a kernel that loses events does: the files are shown without any mark.
TEST_F(HydrateTest, TheTrialFindsOutATierThatShowsZeros) {
  class Unmarked : public Front {
   public:
    explicit Unmarked(Backing backing) : backing_(std::move(backing)) {}
    std::string_view tier() const override { return "unmarked"; }
    const Backing& backing() override { return backing_; }
    int descriptor() const override { return -1; }
    Result<> take(const OnRead&) override { return {}; }
    void answer(const Read&, int) override {}
    void on_complete(uint32_t) override {}
    void exempt(pid_t) override {}
    void close() override {}
    void become_hydrator() override { ::pause(); }
    void deny_all() override {}

   private:
    Backing backing_;
  };
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  MakeFront make = [](const HydratePlan& plan, const ChunkMap&) -> Result<std::unique_ptr<Front>> {
    return std::make_unique<Unmarked>(TRY(make_tree(plan.tree, plan.files)));
  };
  auto works = self_test(plan(), make);
  ASSERT_FALSE(works);
  if (::geteuid() == 0) {
    EXPECT_NE(works.error().message.find("read(2) gave wrong bytes"), std::string::npos)
        << works.error().message;
  }
}

}  // namespace
}  // namespace trainyard::hydrate
