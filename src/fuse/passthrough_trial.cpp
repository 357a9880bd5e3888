// SPDX-License-Identifier: Apache-2.0
#include "fuse/passthrough_trial.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "hydrate/state_files.hpp"

namespace trainyard::fuse {

namespace {

constexpr std::chrono::seconds kTimeout{20};

// More than a chunk and no multiple of a page; no byte of it is zero.
std::string known_bytes() {
  std::string bytes(hydrate::kChunkBytes + 4321, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(1 + (i + i / 4096) % 255);
  return bytes;
}

bool reads_right(const fs::path& path, const std::string& expected) {
  auto file = open_file(path, O_RDONLY);
  std::string bytes(expected.size() + 1, '\0');
  auto count = file ? read_at(file->get(), bytes, 0) : Failure(file.error());
  if (!count || bytes.substr(0, *count) != expected) return false;
  void* memory = ::mmap(nullptr, expected.size(), PROT_READ, MAP_SHARED, file->get(), 0);
  if (memory == MAP_FAILED) return false;
  return std::string_view(static_cast<char*>(memory), expected.size()) == expected;
}

// Serves until the child has ended: its status, and how many reads came here.
Result<std::pair<int, int>> serve(hydrate::Front& front, pid_t child) {
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  auto end = std::chrono::steady_clock::now() + kTimeout;
  int reads = 0;
  Result<> taken;
  for (bool is_over = false; !is_over && taken;) {
    std::array<pollfd, 2> ready{{{front.descriptor(), POLLIN, 0}, {process.get(), POLLIN, 0}}};
    ::poll(ready.data(), ready.size(), 1000);
    is_over = ready[1].revents != 0 || std::chrono::steady_clock::now() > end;
    taken = front.take([&](const hydrate::Read& read) {
      ++reads;
      front.answer(read, 0);
    });
  }
  ::kill(child, SIGKILL);  // nothing to one that has ended
  int status = -1;
  // It may wait for an answer that only the end of the tier brings.
  if (::waitpid(child, &status, WNOHANG) == 0) {
    front.close();
    ::waitpid(child, &status, 0);
  }
  TRY(std::move(taken));
  return std::pair(status, reads);
}

Result<> run(const hydrate::HydratePlan& plan, const std::string& bytes,
             const hydrate::MakeFront& make) {
  auto map = TRY(hydrate::ChunkMap::make({bytes.size()}));
  auto front = TRY(make(plan, map));
  auto file = TRY(front->backing().use(0));
  if (::pwrite(file.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail_errno(errno, "writing a file to be read in passthrough");
  }
  for (uint64_t chunk = 0; chunk < map.chunk_count(0); ++chunk) map.set_present(0, chunk);
  map.set_status(0, hydrate::FileStatus::complete);
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "forking");
  if (child == 0) {
    ::close(front->descriptor());  // or it would wait for itself, should this process be killed
    ::_exit(reads_right(plan.tree / "file", bytes) ? 0 : 1);
  }
  auto [status, reads] = TRY(serve(*front, child));
  front->close();
  if (!WIFEXITED(status)) return fail(Code::unavailable, "its reader was killed");
  if (WEXITSTATUS(status) != 0) return fail(Code::unavailable, "it gave wrong bytes");
  if (reads > 0) return fail(Code::unavailable, "the kernel does not offer it to this process");
  return {};
}

}  // namespace

Result<> try_passthrough(const fs::path& state, const hydrate::MakeFront& make) {
  fs::path place = hydrate::trial_folder(state);
  std::string bytes = known_bytes();
  hydrate::HydratePlan plan;
  plan.tree = place / "tree";
  plan.state = place / "state";
  plan.files = {{"file", {"self-test", "file"}, "", bytes.size()}};
  Result<> done = make_directories(plan.state, 0700);
  if (done) done = run(plan, bytes, make);
  auto removed = remove_tree(place);
  return done ? removed : done;
}

}  // namespace trainyard::fuse
