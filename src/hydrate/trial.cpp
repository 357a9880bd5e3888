// SPDX-License-Identifier: Apache-2.0
#include "hydrate/trial.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "base/random.hpp"
#include "hydrate/guardian.hpp"
#include "hydrate/state_files.hpp"

namespace trainyard::hydrate {

namespace {

constexpr uint64_t kTestBytes = 2 * kChunkBytes + 4321;
constexpr int kTimeoutMs = 20'000;

// Never zero, different on each page and in each file.
char byte_at(uint32_t file, uint64_t offset) {
  uint64_t mixed = (offset / 8 + 1 + file) * 0x9E3779B97F4A7C15u;
  return static_cast<char>(1 + ((mixed >> 40) + offset) % 255);
}

class Pattern : public Source {
 public:
  Result<> read(uint32_t file, uint64_t offset, uint64_t length,
                const transfer::OnPiece& on_piece) override {
    std::string bytes(length, '\0');
    for (uint64_t i = 0; i < length; ++i) bytes[i] = byte_at(file, offset + i);
    return on_piece(bytes);
  }
  Result<> verify(uint32_t, int) override { return {}; }
};

bool is_right(uint32_t file, const char* bytes, uint64_t offset, uint64_t length) {
  for (uint64_t i = 0; i < length; ++i) {
    if (bytes[i] != byte_at(file, offset + i)) return false;
  }
  return true;
}

// The ways to touch a file for the first time, each with a file of its own.
bool reads_right(const fs::path& path, uint32_t file) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return false;
  std::vector<char> bytes(kTestBytes);
  // The end first: what lies before must not become zeros by it.
  auto tail = read_at(fd->get(), std::span(bytes).subspan(0, 4321), kTestBytes - 4321);
  if (!tail || !is_right(file, bytes.data(), kTestBytes - 4321, *tail)) return false;
  auto all = read_at(fd->get(), bytes, 0);
  return all && *all == kTestBytes && is_right(file, bytes.data(), 0, kTestBytes);
}

bool maps_right(const fs::path& path, uint32_t file) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return false;
  void* memory = ::mmap(nullptr, kTestBytes, PROT_READ, MAP_SHARED, fd->get(), 0);
  if (memory == MAP_FAILED) return false;
  bool right = is_right(file, static_cast<const char*>(memory), 0, kTestBytes);
  ::munmap(memory, kTestBytes);
  return right;
}

// As cp and tar -S do, which ask lseek for data only where blocks are missing. (lseek itself, and
// who asks it in any case, takes allocated blocks that were never written for a hole.)
bool copies_right(const fs::path& path, const fs::path& copy, uint32_t file) {
  auto from = open_file(path, O_RDONLY);
  auto to = open_file(copy, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (!from || !to) return false;
  struct stat attributes {};
  if (::fstat(from->get(), &attributes) != 0) return false;
  bool is_sparse = static_cast<uint64_t>(attributes.st_blocks) * 512 < kTestBytes;
  if (is_sparse && ::lseek(from->get(), 0, SEEK_DATA) != 0) return false;
  std::vector<char> bytes(kTestBytes);
  auto count = read_at(from->get(), bytes, 0);
  if (!count || !write_all(to->get(), {bytes.data(), *count})) return false;
  return *count == kTestBytes && is_right(file, bytes.data(), 0, kTestBytes);
}

constexpr std::array kOutcomes = {"",
                                  "no mount namespace could be made",
                                  "a bind mount failed",
                                  "read(2) gave wrong bytes",
                                  "mmap(2) showed wrong bytes",
                                  "a copy as cp makes it has wrong bytes"};

// What the job sees: the tree bound read-only in mounts of its own.
int read_inside(const fs::path& folder) {
  fs::path view = folder / "view";
  if (::unshare(CLONE_NEWNS) != 0) return 1;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 1;
  if (::mount((folder / "tree").c_str(), view.c_str(), nullptr, MS_BIND, nullptr) != 0) return 2;
  unsigned long read_only = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (::mount(nullptr, view.c_str(), nullptr, read_only, nullptr) != 0) return 2;
  if (!reads_right(view / "read", 0)) return 3;
  if (!maps_right(view / "map", 1)) return 4;
  return copies_right(view / "copy", folder / "copied", 2) ? 0 : 5;
}

int serve(const HydratePlan& plan, const MakeFront& make_front, int ready) {
  std::vector<uint64_t> sizes(plan.files.size(), kTestBytes);
  auto map = ChunkMap::make(sizes);
  if (!map) return 1;
  auto front = make_front(plan, *map);
  Result<> done;
  if (!front) {
    done = Failure(front.error());
  } else {
    MakeSource source = [](std::stop_token) { return std::make_unique<Pattern>(); };
    done = run_guardian(plan, *map, **front, source, [&] { return write_all(ready, "+"); });
  }
  if (!done) (void)write_all(ready, done.error().message);
  return done ? 0 : 1;
}

// The child's status, killing it when it takes too long.
int wait_for(pid_t pid) {
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  if (::poll(&ended, 1, kTimeoutMs) != 1) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

Result<> run_test(const HydratePlan& plan, const fs::path& folder, const MakeFront& make_front) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  Fd ready(ends[0]);
  Fd theirs(ends[1]);
  pid_t server = ::fork();
  if (server < 0) return fail_errno(errno, "forking");
  if (server == 0) ::_exit(serve(plan, make_front, theirs.get()));
  theirs.reset();
  pollfd told{ready.get(), POLLIN, 0};
  std::string text(1000, '\0');
  ssize_t count =
      ::poll(&told, 1, kTimeoutMs) == 1 ? ::read(ready.get(), text.data(), text.size()) : -1;
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  int status = -1;
  if (text == "+") {
    pid_t reader = ::fork();
    if (reader == 0) ::_exit(read_inside(folder));
    status = reader < 0 ? -1 : wait_for(reader);
  }
  ::kill(server, SIGTERM);
  wait_for(server);
  if (text != "+") return fail(Code::unavailable, "{}", text.empty() ? "it does not start" : text);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  size_t outcome = WIFEXITED(status) ? static_cast<size_t>(WEXITSTATUS(status)) : kOutcomes.size();
  return fail(Code::unavailable, "the self-test failed: {}",
              outcome < kOutcomes.size() ? kOutcomes[outcome] : "its reader was killed");
}

}  // namespace

Result<> self_test(const HydratePlan& plan, const MakeFront& make_front) {
  fs::path folder = plan.tree.parent_path() / (".self-test-" + random_hex(6));
  HydratePlan test;
  test.tree = folder / "tree";
  test.state = folder / "state";
  for (const char* name : {"read", "map", "copy"}) {
    test.files.push_back({name, {"self-test", name}, "", kTestBytes});
  }
  Result<> done = make_directories(folder / "view");
  if (done) done = make_directories(test.state);
  if (done) done = run_test(test, folder, make_front);
  auto removed = remove_tree(folder);
  return done ? removed : done;
}

}  // namespace trainyard::hydrate
