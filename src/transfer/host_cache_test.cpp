// SPDX-License-Identifier: Apache-2.0
#include "transfer/host_cache.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/guarded.hpp"
#include "base/random.hpp"
#include "http/server.hpp"

namespace trainyard::transfer {
namespace {

constexpr size_t kSize = 64 << 10;

// Jobs that want objects of 64 KiB, each full of one letter, of a server that counts.
class HostCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    auto handler = [this](http::Request& request) {
      std::string key = request.path.substr(request.path.rfind('/') + 1);
      requests_.with([&](auto& requests) { ++requests[key]; });
      http::Response response;
      response.headers.set("ETag", etag_of(key));
      response.body = std::string(kSize, key[0]);
      return response;
    };
    server_ = http::Server::start({}, handler).value();
    access_.endpoint = fmt::format("http://127.0.0.1:{}", server_->port());
    access_.region = "us-west-2";
  }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  static std::string etag_of(const std::string& key) { return "\"" + key + "-1\""; }

  // A job's view of these objects; returns how many came from the server.
  size_t run(const std::string& job, const std::vector<std::string>& keys, uint64_t limit) {
    HostCache cache(folder_ / "cache", limit);
    std::vector<Fetch> wanted;
    for (const std::string& key : keys) {
      wanted.push_back({{"bucket", key}, kSize, etag_of(key), folder_ / job / key});
    }
    auto missing = cache.link(access_, wanted);
    EXPECT_TRUE(missing) << missing.error().message;
    auto fetched = cache.fetch(access_, *missing, {}, {});
    EXPECT_TRUE(fetched) << fetched.error().message;
    for (const std::string& key : keys) {
      EXPECT_EQ(read_file(folder_ / job / key).value_or(""), std::string(kSize, key[0])) << key;
    }
    return missing->size();
  }

  void end(const std::string& job) { ASSERT_TRUE(remove_tree(folder_ / job)); }

  size_t entries() const {
    size_t count = 0;
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "cache", error)) {
      count += entry.is_regular_file() && entry.file_size() == kSize ? 1 : 0;
    }
    return count;
  }

  // As if the object was used so many hours ago: reading it sets its time of use by ticks only.
  void age(const std::string& key, int hours) {
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "cache")) {
      if (!entry.is_regular_file() || entry.file_size() != kSize) continue;
      if (read_file(entry.path()).value()[0] != key[0]) continue;
      const timespec times[2] = {{::time(nullptr) - 3600 * hours, 0}, {0, UTIME_OMIT}};
      ASSERT_EQ(::utimensat(AT_FDCWD, entry.path().c_str(), times, 0), 0);
    }
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  Guarded<std::map<std::string, int>> requests_;
  std::unique_ptr<http::Server> server_;
  S3Access access_;
};

TEST_F(HostCacheTest, a_second_job_asks_for_nothing) {
  EXPECT_EQ(run("one", {"a", "b"}, 10 * kSize), 2U);
  EXPECT_EQ(run("two", {"a", "b", "c"}, 10 * kSize), 1U);
  end("one");
  end("two");
  EXPECT_EQ(run("three", {"c", "b", "a"}, 10 * kSize), 0U);
}

TEST_F(HostCacheTest, what_was_used_longest_ago_goes_first_and_what_is_in_use_stays) {
  EXPECT_EQ(run("one", {"a"}, 3 * kSize), 1U);
  EXPECT_EQ(run("two", {"b", "c"}, 3 * kSize), 2U);
  end("two");
  age("a", 3);
  age("b", 2);
  age("c", 1);
  EXPECT_EQ(run("three", {"b"}, 3 * kSize), 0U);  // used again: c is the oldest that is free
  end("three");
  EXPECT_EQ(run("four", {"d"}, 3 * kSize), 1U);
  EXPECT_EQ(run("five", {"a", "b", "d"}, 3 * kSize), 0U);
  end("five");
  EXPECT_EQ(run("six", {"c"}, 3 * kSize), 1U);
}

TEST_F(HostCacheTest, jobs_that_hold_more_than_the_limit_still_run) {
  EXPECT_EQ(run("one", {"a", "b", "c"}, 2 * kSize), 3U);
  EXPECT_EQ(run("two", {"d", "e"}, 2 * kSize), 2U);
  end("one");
  end("two");
  EXPECT_EQ(run("three", {"f"}, 2 * kSize), 1U);
  EXPECT_LE(entries(), 2U);
}

TEST_F(HostCacheTest, what_no_job_uses_goes_when_the_disk_is_full) {
  ASSERT_TRUE(make_directories(folder_));
  // Seven objects fit, whatever the limit says.
  if (::mount("none", folder_.c_str(), "tmpfs", 0, "size=448k") != 0) GTEST_SKIP() << "no mounts";
  EXPECT_EQ(run("first", {"a", "b", "c", "d"}, 1 << 30), 4U);
  end("first");
  EXPECT_EQ(run("second", {"d", "e", "f", "g", "h"}, 1 << 30), 4U);
  EXPECT_LT(entries(), 8U);
  EXPECT_EQ(::umount2(folder_.c_str(), MNT_DETACH), 0);
}

TEST_F(HostCacheTest, what_is_too_large_or_has_no_version_is_not_kept) {
  EXPECT_EQ(run("one", {"a"}, kSize - 1), 1U);
  EXPECT_EQ(run("two", {"a"}, kSize - 1), 1U);
  HostCache cache(folder_ / "cache", 10 * kSize);
  Fetch unknown{{"bucket", "b"}, kSize, "", folder_ / "three/b"};
  ASSERT_TRUE(cache.fetch(access_, std::span(&unknown, 1), {}, {}));
  EXPECT_EQ(entries(), 0U);
}

TEST_F(HostCacheTest, another_version_is_another_object) {
  HostCache cache(folder_ / "cache", 10 * kSize);
  run("one", {"a"}, 10 * kSize);
  Fetch other{{"bucket", "a"}, kSize, "\"other\"", folder_ / "two/a"};
  EXPECT_EQ(cache.link(access_, std::span(&other, 1))->size(), 1U);
  S3Access elsewhere = access_;
  elsewhere.endpoint = "http://127.0.0.1:1";
  Fetch same{{"bucket", "a"}, kSize, etag_of("a"), folder_ / "three/a"};
  EXPECT_EQ(cache.link(elsewhere, std::span(&same, 1))->size(), 1U);
}

TEST_F(HostCacheTest, processes_that_want_the_same_ask_once) {
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    pid_t child = ::fork();
    if (child == 0) {
      run("job" + std::to_string(i), {"a", "b", "c", "d"}, 100 * kSize);
      ::_exit(HasFailure() ? 1 : 0);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  requests_.with([](auto& requests) {
    for (const auto& [key, count] : requests) EXPECT_EQ(count, 1) << key;
  });
}

}  // namespace
}  // namespace trainyard::transfer
