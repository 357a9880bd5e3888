// SPDX-License-Identifier: Apache-2.0
#include "fuse/fuse_front.hpp"

#define FUSE_USE_VERSION 35
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "base/log.hpp"
#include "fuse/passthrough.hpp"
#include "fuse/passthrough_trial.hpp"
#include "fuse/tree.hpp"
#include "hydrate/state_files.hpp"

namespace trainyard::fuse {

namespace {

using hydrate::Read;

// The tree never changes while it is shown, so the kernel may remember all of it.
constexpr double kForeverSeconds = 1e6;
constexpr size_t kLargestRead = 1 << 20;  // FUSE_MAX_MAX_PAGES of the kernel, 256 pages
constexpr size_t kBlock = 4096;

class FuseFront : public hydrate::Front {
 public:
  FuseFront(const hydrate::HydratePlan& plan, const hydrate::ChunkMap& map,
            const Result<>& passthrough)
      : plan_(plan),
        map_(map),
        passthrough_(passthrough),
        tree_(plan.files),
        buffer_(kLargestRead) {}
  ~FuseFront() override { close(); }

  Result<> make();

  std::string_view tier() const override { return "fuse"; }
  std::string note() const override;
  const hydrate::Backing& backing() override { return *backing_; }
  int descriptor() const override { return fuse_session_fd(session_); }
  Result<> take(const hydrate::OnRead& on_read) override;
  void answer(const Read& read, int error_number) override;
  void on_complete(uint32_t) override {}  // opens ask the map; reads find its chunks present
  void exempt(pid_t) override {}
  void close() override;
  void become_hydrator() override;
  void deny_all() override {}  // the kernel does, when the guardian's end is closed

 private:
  static FuseFront& of(fuse_req_t request) {
    return *static_cast<FuseFront*>(fuse_req_userdata(request));
  }
  static void on_init(void* user, fuse_conn_info* connection);
  static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  static void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void on_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void on_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                      fuse_file_info* file);
  static void on_release(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void on_opendir(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file);
  static void on_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                         fuse_file_info* file);
  static void on_statfs(fuse_req_t request, fuse_ino_t inode);
  static ssize_t receive(int device, void* buffer, size_t size, void* self);
  static ssize_t send(int device, iovec* pieces, int count, void* self);

  // The id of the file's backing; 0: it is to be opened in the ordinary way.
  int32_t count_open(uint32_t file);
  void count_close(uint32_t file);
  struct stat attributes(fuse_ino_t inode, const Node& node) const;

  const hydrate::HydratePlan& plan_;
  const hydrate::ChunkMap& map_;
  const Result<> passthrough_;  // or why there is none
  Tree tree_;
  OpenFiles open_files_;
  std::vector<char> buffer_;
  std::optional<hydrate::Backing> backing_;
  struct fuse_session* session_ = nullptr;
  bool is_mounted_ = false;
  bool is_init_next_ = false;               // the next answer is the one to INIT
  const hydrate::OnRead* taker_ = nullptr;  // during take()
};

struct stat FuseFront::attributes(fuse_ino_t inode, const Node& node) const {
  struct stat status {};
  status.st_ino = inode;
  status.st_nlink = 1;
  status.st_mode = node.file ? S_IFREG | 0444 : S_IFDIR | 0755;
  status.st_blksize = kLargestRead;
  if (node.file) {
    status.st_size = static_cast<off_t>(map_.size_bytes(*node.file));
    status.st_blocks = (status.st_size + 511) / 512;
  }
  return status;
}

std::string FuseFront::note() const {
  if (passthrough_) return "complete files are read in passthrough";
  return "no passthrough: " + passthrough_.error().message;
}

ssize_t FuseFront::receive(int device, void* buffer, size_t size, void*) {
  return ::read(device, buffer, size);
}

ssize_t FuseFront::send(int device, iovec* pieces, int count, void* user) {
  FuseFront& self = *static_cast<FuseFront*>(user);
  if (std::exchange(self.is_init_next_, false)) {
    ask_for_passthrough({pieces, static_cast<size_t>(count)});
  }
  return ::writev(device, pieces, count);
}

void FuseFront::on_init(void* user, fuse_conn_info* connection) {
  FuseFront& self = *static_cast<FuseFront*>(user);
  self.is_init_next_ = self.passthrough_.has_value();
  connection->max_readahead = kLargestRead;
  connection->time_gran = 1;
}

void FuseFront::on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  FuseFront& self = of(request);
  fuse_entry_param entry{};
  entry.ino = self.tree_.lookup(parent, name);
  entry.attr_timeout = kForeverSeconds;
  entry.entry_timeout = kForeverSeconds;
  // Number 0 lets the kernel remember that there is none.
  if (entry.ino != 0) entry.attr = self.attributes(entry.ino, *self.tree_.find(entry.ino));
  fuse_reply_entry(request, &entry);
}

void FuseFront::on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  FuseFront& self = of(request);
  const Node* node = self.tree_.find(inode);
  if (node == nullptr) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  struct stat status = self.attributes(inode, *node);
  fuse_reply_attr(request, &status, kForeverSeconds);
}

void FuseFront::on_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  const Node* node = of(request).tree_.find(inode);
  bool is_reading = (file->flags & O_ACCMODE) == O_RDONLY;
  if (node == nullptr || !node->file || !is_reading) {
    fuse_reply_err(request, node == nullptr ? ENOENT : !node->file ? EISDIR : EROFS);
    return;
  }
  FuseFront& self = of(request);
  int sent = 0;
  if (int32_t backing = self.count_open(*node->file); backing != 0) {
    PassedOpen answer = passed_open(backing);
    sent = fuse_reply_buf(request, reinterpret_cast<const char*>(&answer), sizeof answer);
  } else {
    file->keep_cache = 1;
    file->noflush = 1;
    sent = fuse_reply_open(request, file);
  }
  // Who opened it was killed meanwhile: no release will come.
  if (sent != 0) self.count_close(*node->file);
}

int32_t FuseFront::count_open(uint32_t file) {
  bool can_be_passed = passthrough_ && map_.status(file) == hydrate::FileStatus::complete;
  if (!can_be_passed) return open_files_.open(file, nullptr);
  return open_files_.open(file, [this](uint32_t number) {
    auto backing = backing_->use(number);
    int32_t id = backing ? add_backing(descriptor(), backing->get()) : 0;
    if (id == 0) log::warn("a file cannot be passed through", {{"file", number}, {"errno", errno}});
    return id;
  });
}

void FuseFront::count_close(uint32_t file) {
  int32_t unneeded = open_files_.close(file);
  if (unneeded != 0) remove_backing(descriptor(), unneeded);
}

void FuseFront::on_release(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  FuseFront& self = of(request);
  const Node* node = self.tree_.find(inode);
  if (node != nullptr && node->file) self.count_close(*node->file);
  fuse_reply_err(request, 0);
}

void FuseFront::on_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                        fuse_file_info*) {
  FuseFront& self = of(request);
  const Node* node = self.tree_.find(inode);
  if (node == nullptr || !node->file || offset < 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  uint64_t token = reinterpret_cast<uint64_t>(request);
  (*self.taker_)({*node->file, static_cast<uint64_t>(offset), size, token});
}

void FuseFront::on_opendir(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  const Node* node = of(request).tree_.find(inode);
  if (node == nullptr || node->file) {
    fuse_reply_err(request, ENOTDIR);
    return;
  }
  file->cache_readdir = 1;
  file->keep_cache = 1;
  fuse_reply_open(request, file);
}

// Position 0 is ".", 1 is "..", then the entries in order.
void FuseFront::on_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                           fuse_file_info*) {
  FuseFront& self = of(request);
  const Node* node = self.tree_.find(inode);
  if (node == nullptr || node->file) {
    fuse_reply_err(request, ENOTDIR);
    return;
  }
  std::vector<char> answer(size);
  size_t used = 0;
  off_t position = 0;
  auto add = [&](const char* name, fuse_ino_t number) {
    if (position++ < offset) return true;
    struct stat status = self.attributes(number, *self.tree_.find(number));
    size_t length =
        fuse_add_direntry(request, answer.data() + used, size - used, name, &status, position);
    if (length > size - used) return false;
    used += length;
    return true;
  };
  bool fits = add(".", inode) && add("..", node->parent);
  for (auto entry = node->entries.begin(); fits && entry != node->entries.end(); ++entry) {
    fits = add(entry->first.c_str(), entry->second);
  }
  fuse_reply_buf(request, answer.data(), used);
}

void FuseFront::on_statfs(fuse_req_t request, fuse_ino_t) {
  FuseFront& self = of(request);
  struct statvfs disk {};
  disk.f_bsize = disk.f_frsize = kBlock;
  disk.f_namemax = 255;
  disk.f_files = self.plan_.files.size();
  for (const hydrate::LazyFile& file : self.plan_.files) {
    disk.f_blocks += (file.size + kBlock - 1) / kBlock;
  }
  fuse_reply_statfs(request, &disk);
}

Result<> FuseFront::make() {
  backing_ = TRY(hydrate::make_cache(hydrate::cache_folder(plan_.state), plan_.files));
  TRY(make_directories(plan_.tree));
  fuse_lowlevel_ops operations{};
  operations.init = on_init;
  operations.lookup = on_lookup;
  operations.getattr = on_getattr;
  operations.open = on_open;
  operations.read = on_read;
  operations.release = on_release;
  operations.opendir = on_opendir;
  operations.readdir = on_readdir;
  operations.statfs = on_statfs;
  // allow_other: the job runs as another user. libfuse mounts itself as root, else by fusermount3.
  std::array<const char*, 3> options{
      "trainyard", "-o",
      "ro,nosuid,nodev,allow_other,default_permissions,fsname=trainyard,subtype=trainyard"};
  std::vector<std::string> texts(options.begin(), options.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  session_ = fuse_session_new(&arguments, &operations, sizeof operations, this);
  fuse_opt_free_args(&arguments);
  if (session_ == nullptr) return fail(Code::unavailable, "libfuse makes no session");
  if (fuse_session_mount(session_, plan_.tree.c_str()) != 0) {
    return fail(Code::unavailable, "mounting {} by FUSE failed", plan_.tree.string());
  }
  is_mounted_ = true;
  fuse_custom_io io{};
  io.read = receive;
  io.writev = send;
  if (fuse_session_custom_io(session_, &io, descriptor()) != 0) {
    return fail(Code::unavailable, "libfuse takes no functions to send with");
  }
  int flags = ::fcntl(descriptor(), F_GETFL);
  ::fcntl(descriptor(), F_SETFL, flags | O_NONBLOCK);
  return {};
}

Result<> FuseFront::take(const hydrate::OnRead& on_read) {
  taker_ = &on_read;
  fuse_buf request{};
  for (;;) {
    int count = fuse_session_receive_buf(session_, &request);
    if (count == -EAGAIN || count == -EINTR) break;
    if (count <= 0) {
      std::free(request.mem);
      return fail(Code::unavailable, "the file system was unmounted");
    }
    fuse_session_process_buf(session_, &request);
  }
  std::free(request.mem);
  taker_ = nullptr;
  return {};
}

void FuseFront::answer(const Read& read, int error_number) {
  // libfuse hands out pointers; a token is one of them.
  auto* request = reinterpret_cast<fuse_req_t>(read.token);
  if (error_number != 0) {
    fuse_reply_err(request, error_number);
    return;
  }
  buffer_.resize(std::max(buffer_.size(), static_cast<size_t>(read.length)));
  auto file = backing_->use(read.file);
  auto wanted = std::span(buffer_).first(static_cast<size_t>(read.length));
  auto bytes = file ? read_at(file->get(), wanted, read.offset) : Failure(file.error());
  if (!bytes) {
    log::error("reading a cached file", {{"cause", bytes.error().message}});
    fuse_reply_err(request, EIO);
    return;
  }
  fuse_reply_buf(request, buffer_.data(), *bytes);
}

void FuseFront::close() {
  if (session_ == nullptr) return;
  if (is_mounted_) fuse_session_unmount(session_);
  fuse_session_destroy(session_);
  session_ = nullptr;
}

void FuseFront::become_hydrator() {
  // Held here as well, it would keep readers waiting for a dead guardian.
  ::close(fuse_session_fd(session_));
}

}  // namespace

Result<std::unique_ptr<hydrate::Front>> make_fuse_front(const hydrate::HydratePlan& plan,
                                                        const hydrate::ChunkMap& map) {
  auto make = [](const Result<>& passthrough) -> hydrate::MakeFront {
    return
        [passthrough](const hydrate::HydratePlan& its_plan,
                      const hydrate::ChunkMap& its_map) -> Result<std::unique_ptr<hydrate::Front>> {
          auto front = std::make_unique<FuseFront>(its_plan, its_map, passthrough);
          TRY(front->make());
          return front;
        };
  };
  auto passthrough = try_passthrough(plan.state, make({}));
  return make(passthrough)(plan, map);
}

}  // namespace trainyard::fuse
