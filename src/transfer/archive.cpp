// SPDX-License-Identifier: Apache-2.0
#include "transfer/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <memory>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

// libarchive fails without saying why now and then.
std::string reason_of(archive* handle) {
  const char* text = archive_error_string(handle);
  return text == nullptr ? "the archive is damaged" : text;
}

struct CloseArchive {
  void operator()(archive* handle) const { archive_free(handle); }
};
using Archive = std::unique_ptr<archive, CloseArchive>;

// libarchive converts names by the thread's locale; names are bytes for us, mostly UTF-8.
class Utf8Locale {
 public:
  Utf8Locale()
      : utf8_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(::uselocale(utf8_)) {}
  ~Utf8Locale() {
    ::uselocale(before_);
    if (utf8_ != nullptr) ::freelocale(utf8_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t utf8_;
  locale_t before_;
};

// Why a member may not be unpacked; empty: it may.
std::string_view refusal_of(archive_entry* entry) {
  std::string_view name = archive_entry_pathname(entry) ? archive_entry_pathname(entry) : "";
  if (name.empty()) return "has no name";
  if (name.starts_with('/')) return "has an absolute name";
  for (std::string_view part : split(name, '/')) {
    if (part == "..") return "leaves the archive's folder";
  }
  auto type = archive_entry_filetype(entry);
  bool is_hard_link = archive_entry_hardlink(entry) != nullptr;
  if (!is_hard_link && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK) {
    return "is a device or pipe";
  }
  if (is_hard_link) {
    std::string_view target = archive_entry_hardlink(entry);
    if (target.starts_with('/') || target.find("..") != std::string_view::npos) {
      return "links outside of the archive's folder";
    }
  }
  return "";
}

Result<> copy_content(archive* from, archive* to) {
  const void* block = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  for (;;) {
    int result = archive_read_data_block(from, &block, &size, &offset);
    if (result == ARCHIVE_EOF) return {};
    if (result < ARCHIVE_WARN) return fail(Code::invalid, "{}", reason_of(from));
    if (archive_write_data_block(to, block, size, offset) < ARCHIVE_WARN) {
      return fail(Code::exhausted, "{}", reason_of(to));
    }
  }
}

}  // namespace

Result<> unpack(const fs::path& file, const fs::path& folder) {
  Utf8Locale locale;
  auto within = [&](Error error) {
    return Failure(std::move(error).within("unpacking " + file.filename().string()));
  };
  Archive from(archive_read_new());
  archive_read_support_filter_gzip(from.get());
  archive_read_support_format_tar(from.get());
  if (archive_read_open_filename(from.get(), file.c_str(), 256 << 10) != ARCHIVE_OK) {
    return within({Code::invalid, reason_of(from.get())});
  }
  Archive to(archive_write_disk_new());
  archive_write_disk_set_options(to.get(), ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                               ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                               ARCHIVE_EXTRACT_UNLINK);
  for (;;) {
    archive_entry* entry = nullptr;
    int result = archive_read_next_header(from.get(), &entry);
    if (result == ARCHIVE_EOF) return {};
    if (result < ARCHIVE_WARN) return within({Code::invalid, reason_of(from.get())});
    std::string name = archive_entry_pathname(entry) ? archive_entry_pathname(entry) : "";
    if (auto why = refusal_of(entry); !why.empty()) {
      return within({Code::invalid, fmt::format("member '{}' {}", name, why)});
    }
    archive_entry_set_pathname(entry, (folder / name).c_str());
    if (const char* link = archive_entry_hardlink(entry)) {
      archive_entry_set_hardlink(entry, (folder / link).c_str());
    }
    archive_entry_set_perm(entry, (archive_entry_perm(entry) & 0777) | 0600);
    if (archive_write_header(to.get(), entry) < ARCHIVE_WARN) {
      return within({Code::invalid, reason_of(to.get())});
    }
    if (auto copied = copy_content(from.get(), to.get()); !copied) return within(copied.error());
  }
}

}  // namespace trainyard::transfer
