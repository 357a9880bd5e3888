// SPDX-License-Identifier: Apache-2.0
#include "sandbox/overlay.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/text.hpp"

namespace trainyard::sandbox {

namespace {

// glibc 2.36 declares some of these calls, older ones none.
long open_tree(const fs::path& path, unsigned flags) {
  return ::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), flags);
}
long set_attributes(int mount, mount_attr& attributes) {
  return ::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
}
long attach(int mount, const fs::path& path) {
  constexpr unsigned kFromDescriptor = 0x4;  // MOVE_MOUNT_F_EMPTY_PATH
  return ::syscall(SYS_move_mount, mount, "", AT_FDCWD, path.c_str(), kFromDescriptor);
}

// For a file that the kernel made: no temporary file, no rename.
Result<> write_text(const fs::path& path, std::string_view text) {
  Fd fd = TRY(open_file(path, O_WRONLY));
  return write_all(fd.get(), text);
}

// A user namespace in which root stands for `owner`. It lives as long as the descriptor.
Result<Fd> namespace_of(uint32_t owner) {
  std::array<int, 2> ready{};
  if (::pipe2(ready.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  Fd read_end(ready[0]);
  Fd write_end(ready[1]);
  pid_t child = ::fork();
  if (child == 0) {
    char done = ::unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    if (::write(write_end.get(), &done, 1) == 1) ::pause();
    ::_exit(0);
  }
  if (child < 0) return fail_errno(errno, "starting a process");
  write_end.reset();
  auto open = [&]() -> Result<Fd> {
    char done = 0;
    if (::read(read_end.get(), &done, 1) != 1 || done != 'y') {
      return fail(Code::denied, "this host allows no user namespaces");
    }
    fs::path process = fmt::format("/proc/{}", child);
    std::string map = fmt::format("0 {} 1\n", owner);
    TRY(write_text(process / "uid_map", map));
    TRY(write_text(process / "gid_map", map));
    return open_file(process / "ns/user", O_RDONLY);
  };
  auto opened = open();
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return opened;
}

// Mounts `folder` over itself with root's files as `owner`'s (idmapped mount, Linux 5.12).
Result<> give_view_to(const fs::path& folder, uint32_t owner) {
  Fd names = TRY(namespace_of(owner));
  Fd mount(static_cast<int>(open_tree(folder, OPEN_TREE_CLONE | O_CLOEXEC)));
  if (!mount) return fail_errno(errno, "cloning the mount of " + folder.string());
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY;
  attributes.userns_fd = static_cast<uint64_t>(names.get());
  if (set_attributes(mount.get(), attributes) != 0) {
    return fail_errno(errno, "mapping the owners of " + folder.string());
  }
  if (attach(mount.get(), folder) != 0) return fail_errno(errno, "mounting " + folder.string());
  return {};
}

Result<> mount_overlay(const Overlay& overlay, bool is_root) {
  if (is_root && overlay.owner != 0) TRY(give_view_to(overlay.lower, overlay.owner));
  for (const fs::path* path : {&overlay.lower, &overlay.upper, &overlay.work}) {
    if (path->string().find_first_of(":,\\") != std::string::npos) {
      return fail(Code::invalid, "{} cannot be a layer: its name holds ':', ',' or '\\'",
                  path->string());
    }
  }
  std::string options =
      fmt::format("lowerdir={},upperdir={},workdir={}{}", overlay.lower.string(),
                  overlay.upper.string(), overlay.work.string(), is_root ? "" : ",userxattr");
  if (::mount("overlay", overlay.shown.c_str(), "overlay", MS_NOSUID | MS_NODEV, options.c_str()) !=
      0) {
    return fail_errno(errno, "mounting an overlay on " + overlay.shown.string());
  }
  return {};
}

Result<> enter_own_mounts(bool is_root) {
  uid_t user = ::geteuid();
  gid_t group = ::getegid();
  if (::unshare(CLONE_NEWNS | (is_root ? 0 : CLONE_NEWUSER)) != 0) {
    return fail_errno(errno, "making a mount namespace");
  }
  if (!is_root) {
    TRY(write_text("/proc/self/setgroups", "deny"));
    TRY(write_text("/proc/self/uid_map", fmt::format("{0} {0} 1\n", user)));
    TRY(write_text("/proc/self/gid_map", fmt::format("{0} {0} 1\n", group)));
  }
  // What is mounted here stays here; what others unmount goes here, too.
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return fail_errno(errno, "separating the mounts");
  }
  return {};
}

// The whole way, as a job goes it: write to a file of the lower layer, and see it unchanged below.
Result<> try_overlay(const Overlay& overlay) {
  Fd original = TRY(open_file(overlay.lower / "file", O_RDONLY));
  TRY(enter_overlays({overlay}));
  // The job's user does not get to the folders above; its walls show it this one.
  Fd shown = TRY(open_file(overlay.shown, O_PATH | O_DIRECTORY));
  if (::geteuid() == 0 && overlay.owner != 0) {
    if (::setgid(overlay.owner) != 0 || ::setuid(overlay.owner) != 0) {
      return fail_errno(errno, "becoming the job's user");
    }
  }
  Fd copy(::openat(shown.get(), "file", O_WRONLY | O_CLOEXEC));
  if (!copy) return fail_errno(errno, "writing to a file of the lower layer");
  TRY(write_all(copy.get(), "written"));
  Fd made(::openat(shown.get(), "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!made) return fail_errno(errno, "making a file");
  std::string below(8, '\0');
  below.resize(TRY(read_at(original.get(), below, 0)));
  if (below != "original") return fail(Code::internal, "a write went through to the original");
  return {};
}

}  // namespace

Result<> enter_overlays(const std::vector<Overlay>& overlays) {
  if (overlays.empty()) return {};
  bool is_root = ::geteuid() == 0;
  TRY(enter_own_mounts(is_root));
  for (const Overlay& overlay : overlays) TRY(mount_overlay(overlay, is_root));
  return {};
}

Result<> probe_overlay(const fs::path& folder, uint32_t owner) {
  fs::path root = folder / "overlay-probe";
  TRY(remove_tree(root));
  Overlay overlay{root / "lower", root / "upper", root / "work", root / "shown", owner};
  for (const fs::path* path : {&overlay.lower, &overlay.upper, &overlay.work, &overlay.shown}) {
    TRY(make_directories(*path));
  }
  TRY(write_file_atomically(overlay.lower / "file", "original"));
  if (::geteuid() == 0) static_cast<void>(::lchown(overlay.upper.c_str(), owner, owner));
  std::array<int, 2> answer{};
  if (::pipe2(answer.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  Fd read_end(answer[0]);
  Fd write_end(answer[1]);
  pid_t child = ::fork();
  if (child == 0) {
    auto tried = try_overlay(overlay);
    static_cast<void>(write_all(write_end.get(), tried ? "" : tried.error().message));
    ::_exit(tried ? 0 : 1);
  }
  write_end.reset();
  int status = 1;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return fail_errno(errno, "the probe");
  std::string why(4096, '\0');
  ssize_t count = ::read(read_end.get(), why.data(), why.size());
  why.resize(count > 0 ? static_cast<size_t>(count) : 0);
  TRY(remove_tree(root));
  if (status != 0) return fail(Code::denied, "{}", why);
  return {};
}

}  // namespace trainyard::sandbox
