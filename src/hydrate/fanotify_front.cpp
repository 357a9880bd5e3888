// SPDX-License-Identifier: Apache-2.0
// Tier 1: plain files with an inode mark each. A read of a marked file stops in the kernel until it
// is answered. Inode marks, because mount marks miss bind mounts; event descriptors read-only,
// because the kernel cannot open others through a read-only bind; marks before the tree is shown.
//
// Two calls make no event in Linux 6.18 and show zeros where a file has not come yet; tier 2 has no
// such gap. lseek(SEEK_DATA) takes allocated blocks that were never written for a hole: cp and tar
// -S ask it only where blocks are missing, bsdtar in any case. mremap(2) that makes a mapping
// longer asks for nothing: only the mmap(2) before it did.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <unordered_map>

#include "base/log.hpp"
#include "hydrate/front.hpp"
#include "hydrate/pre_content.hpp"

namespace trainyard::hydrate {

namespace {

constexpr size_t kEventBytes = 4096;
// Event descriptors are numbers below the process's limit on them; this is the kernel's own.
constexpr int kDescriptorLimit = 1 << 20;
constexpr uint64_t kMaxMarks = 200'000;  // each pins an inode

class FanotifyFront : public Front {
 public:
  FanotifyFront(const HydratePlan& plan, const ChunkMap& map) : plan_(plan), map_(map) {}

  Result<> make();

  std::string_view tier() const override { return "fanotify"; }
  const Backing& backing() override { return *backing_; }
  int descriptor() const override { return group_.get(); }
  Result<> take(const OnRead& on_read) override;
  void answer(const Read& read, int error_number) override;
  void on_complete(uint32_t file) override;
  void exempt(pid_t process) override { exempt_ = process; }
  void close() override;
  void become_hydrator() override {}  // its descriptor of the group keeps readers waiting
  void deny_all() override;

 private:
  Result<> mark(unsigned how, uint32_t file);
  void take_event(const fanotify_event_metadata& event, const char* bytes, const OnRead& on_read);
  void respond(int event_fd, uint32_t response);

  const HydratePlan& plan_;
  const ChunkMap& map_;
  std::optional<Backing> backing_;
  Fd group_;
  pid_t exempt_ = 0;
  std::unordered_map<uint64_t, uint32_t> files_;  // by inode number
};

Result<> FanotifyFront::mark(unsigned how, uint32_t file) {
  fs::path path = plan_.tree / plan_.files[file].path;
  if (::fanotify_mark(group_.get(), how, kPreAccess, AT_FDCWD, path.c_str()) == 0) return {};
  return fail_errno(errno, "marking " + path.string() + " for pre-content events");
}

Result<> FanotifyFront::make() {
  if (plan_.files.size() > kMaxMarks) {
    return fail(Code::exhausted, "more than {} files", kMaxMarks);
  }
  unsigned flags =
      kClassPreContent | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
  group_ = Fd(::fanotify_init(flags, O_RDONLY | O_LARGEFILE | O_CLOEXEC));
  if (!group_) return fail_errno(errno, "making a fanotify group for pre-content events");
  backing_ = TRY(make_tree(plan_.tree, plan_.files));
  for (uint32_t file = 0; file < backing_->size(); ++file) {
    if (map_.chunk_count(file) == 0) continue;
    struct stat attributes {};
    fs::path path = plan_.tree / plan_.files[file].path;
    if (::lstat(path.c_str(), &attributes) != 0) {
      return fail_errno(errno, "reading " + plan_.files[file].path);
    }
    files_[attributes.st_ino] = file;
    TRY(mark(FAN_MARK_ADD, file));
  }
  return {};
}

void FanotifyFront::respond(int event_fd, uint32_t response) {
  fanotify_response answer{event_fd, response};
  // ENOENT: the reader was killed meanwhile.
  if (::write(group_.get(), &answer, sizeof answer) < 0 && errno != ENOENT) {
    log::error("answering a read", {{"errno", errno}});
  }
  ::close(event_fd);
}

void FanotifyFront::take_event(const fanotify_event_metadata& event, const char* bytes,
                               const OnRead& on_read) {
  struct stat attributes {};
  if (event.fd < 0) return;
  if (event.pid == exempt_) return respond(event.fd, FAN_ALLOW);
  bool is_known = ::fstat(event.fd, &attributes) == 0 && files_.contains(attributes.st_ino);
  if (!is_known) return respond(event.fd, deny_with(EIO));
  uint32_t file = files_.at(attributes.st_ino);
  Read read{file, 0, map_.size_bytes(file), static_cast<uint64_t>(event.fd)};
  for (size_t at = event.metadata_len; at + sizeof(RangeRecord) <= event.event_len;) {
    RangeRecord record;
    std::memcpy(&record, bytes + at, sizeof record);
    if (record.type == kRangeRecord && record.count != 0) {
      read.offset = record.offset;
      read.length = record.count;
    }
    if (record.length == 0) break;
    at += record.length;
  }
  on_read(read);
}

Result<> FanotifyFront::take(const OnRead& on_read) {
  alignas(fanotify_event_metadata) char buffer[kEventBytes];
  ssize_t count = ::read(group_.get(), buffer, sizeof buffer);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    // The kernel denied the one event that it could not open a descriptor for.
    log::warn("taking reads", {{"errno", errno}});
    return {};
  }
  const char* at = buffer;
  while (count >= static_cast<ssize_t>(sizeof(fanotify_event_metadata))) {
    fanotify_event_metadata event;
    std::memcpy(&event, at, sizeof event);
    if (event.event_len < sizeof event || event.event_len > count) break;
    take_event(event, at, on_read);
    at += event.event_len;
    count -= event.event_len;
  }
  return {};
}

void FanotifyFront::answer(const Read& read, int error_number) {
  respond(static_cast<int>(read.token), error_number == 0 ? FAN_ALLOW : deny_with(error_number));
}

void FanotifyFront::on_complete(uint32_t file) {
  if (!backing_->release(file) || map_.chunk_count(file) == 0) return;
  auto removed = mark(FAN_MARK_REMOVE, file);
  // Reads of it are then still asked about and allowed.
  if (!removed) log::warn("a complete file keeps its mark", {{"cause", removed.error().message}});
}

void FanotifyFront::close() {
  group_.reset();
}

void FanotifyFront::deny_all() {
  // What the dead guardian had taken is known to the kernel by the number that its descriptor had.
  // Numbers that stand for nothing are refused.
  for (int number = 0; number < kDescriptorLimit; ++number) {
    fanotify_response answer{number, deny_with(EIO)};
    if (::write(group_.get(), &answer, sizeof answer) < 0) continue;
  }
  for (;;) {
    pollfd ready{group_.get(), POLLIN, 0};
    ::poll(&ready, 1, -1);
    (void)take([&](const Read& read) { answer(read, EIO); });
  }
}

}  // namespace

Result<std::unique_ptr<Front>> make_fanotify_front(const HydratePlan& plan, const ChunkMap& map) {
  auto front = std::make_unique<FanotifyFront>(plan, map);
  TRY(front->make());
  return front;
}

}  // namespace trainyard::hydrate
