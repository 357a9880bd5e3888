// SPDX-License-Identifier: Apache-2.0
#include "base/move_over.hpp"

namespace trainyard {

namespace {

Result<> move_below(const fs::path& source, const fs::path& target, const fs::path& below,
                    std::vector<std::string>& replaced) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(source / below, error)) {
    fs::path name = below / entry.path().filename();
    auto there = fs::symlink_status(target / name, error);
    bool is_folder = fs::is_directory(entry.symlink_status(error));
    if (is_folder && fs::is_directory(there)) {
      TRY(move_below(source, target, name, replaced));
      continue;
    }
    if (fs::exists(there) || fs::is_symlink(there)) {
      replaced.push_back(name.string());
      TRY(remove_tree(target / name));
    }
    fs::rename(entry.path(), target / name, error);
    if (error) return fail_errno(error.value(), "moving " + name.string());
  }
  if (error) return fail_errno(error.value(), "reading " + (source / below).string());
  return {};
}

}  // namespace

Result<std::vector<std::string>> move_over(const fs::path& source, const fs::path& target) {
  std::vector<std::string> replaced;
  TRY(move_below(source, target, "", replaced));
  return replaced;
}

}  // namespace trainyard
