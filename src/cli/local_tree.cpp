// SPDX-License-Identifier: Apache-2.0
#include "cli/local_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/text.hpp"

namespace trainyard::cli {

namespace {

using Folder = std::pair<dev_t, ino_t>;

std::string_view kind_of(mode_t mode) {
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISFIFO(mode)) return "a pipe";
  return "a device";
}

class Walk {
 public:
  Walk(const fs::path& root, bool follows_links) : root_(root), follows_links_(follows_links) {}

  // `below` is a folder's path below the root, "" for itself.
  Result<> read(const std::string& below) {
    Fd fd = TRY(open_file(root_ / below, O_RDONLY | O_DIRECTORY));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, "reading " + below);
    Folder here{info.st_dev, info.st_ino};
    if (std::find(above_.begin(), above_.end(), here) != above_.end()) {
      return fail(Code::invalid, "it leads back to a folder above");
    }
    std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(::dup(fd.get())), &::closedir);
    if (!folder) return fail_errno(errno, "reading " + below);
    above_.push_back(here);
    while (const dirent* entry = ::readdir(folder.get())) {
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") add(fd.get(), entry->d_name, below);
    }
    above_.pop_back();
    return {};
  }

  LocalTree tree;

 private:
  void add(int folder, const char* name, const std::string& below) {
    std::string path = below.empty() ? name : below + "/" + name;
    struct stat info {};
    if (::fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return problem_of_errno(path);
    if (S_ISLNK(info.st_mode)) {
      if (!follows_links_) return tree.links.push_back(shown_name(path));
      if (::fstatat(folder, name, &info, 0) != 0) return problem_of_errno(path);
    }
    if (!is_valid_utf8(path)) return problem(path, "its name is no UTF-8, as keys must be");
    if (S_ISDIR(info.st_mode)) {
      auto done = read(path);
      if (!done) problem(path, done.error().message);
    } else if (!S_ISREG(info.st_mode)) {
      problem(path, fmt::format("{} is no file", kind_of(info.st_mode)));
    } else if (::faccessat(folder, name, R_OK, AT_EACCESS) != 0) {
      problem_of_errno(path);
    } else {
      tree.files.push_back({path, static_cast<uint64_t>(info.st_size)});
    }
  }

  void problem(std::string_view path, std::string_view what) {
    tree.problems.push_back(fmt::format("{}: {}", shown_name(path), what));
  }
  void problem_of_errno(std::string_view path) {
    problem(path, fail_errno(errno, "reading it").value().message);
  }

  const fs::path& root_;
  bool follows_links_;
  std::vector<Folder> above_;
};

}  // namespace

Result<LocalTree> read_tree(const fs::path& folder, bool follows_links) {
  Walk walk(folder, follows_links);
  TRY(walk.read(""));
  std::sort(walk.tree.files.begin(), walk.tree.files.end(),
            [](const LocalFile& a, const LocalFile& b) { return a.path < b.path; });
  std::sort(walk.tree.problems.begin(), walk.tree.problems.end());
  std::sort(walk.tree.links.begin(), walk.tree.links.end());
  return std::move(walk.tree);
}

std::string shown_name(std::string_view name) {
  std::string shown = to_valid_utf8(name);
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return shown;
}

}  // namespace trainyard::cli
