// SPDX-License-Identifier: Apache-2.0
#include "transfer/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

// gzip at isa-l's level 1: many times zlib's speed for a little ratio (data_plane.md 3d).
class Gzip {
 public:
  explicit Gzip(const ByteSink& sink) : sink_(sink), level_buffer_(ISAL_DEF_LVL1_DEFAULT) {
    isal_deflate_init(&stream_);
    stream_.level = 1;
    stream_.level_buf = level_buffer_.data();
    stream_.level_buf_size = static_cast<uint32_t>(level_buffer_.size());
    stream_.gzip_flag = IGZIP_GZIP;
  }

  Result<> write(std::string_view bytes) { return deflate(bytes, false); }
  Result<> finish() { return deflate({}, true); }

 private:
  Result<> deflate(std::string_view bytes, bool is_end) {
    // isa-l reads the input only; its interface lacks the const.
    stream_.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uint32_t>(bytes.size());
    stream_.end_of_stream = is_end ? 1 : 0;
    do {
      stream_.next_out = reinterpret_cast<uint8_t*>(output_.data());
      stream_.avail_out = static_cast<uint32_t>(output_.size());
      if (isal_deflate(&stream_) != COMP_OK) return fail(Code::internal, "compressing failed");
      size_t made = output_.size() - stream_.avail_out;
      if (made > 0) TRY(sink_({output_.data(), made}));
    } while (stream_.avail_out == 0 || stream_.avail_in > 0);
    return {};
  }

  const ByteSink& sink_;
  isal_zstream stream_{};
  std::vector<uint8_t> level_buffer_;
  std::vector<char> output_ = std::vector<char>(256 << 10);
};

// libarchive fails without saying why now and then.
std::string reason_of(archive* handle) {
  const char* text = archive_error_string(handle);
  return text == nullptr ? "the archive is damaged" : text;
}

struct CloseArchive {
  void operator()(archive* handle) const { archive_free(handle); }
};
using Archive = std::unique_ptr<archive, CloseArchive>;
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Entry = std::unique_ptr<archive_entry, FreeEntry>;

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

// libarchive writes the tar; what it makes goes through gzip to the sink.
struct TarOutput {
  Gzip gzip;
  std::optional<Error> error;
};

la_ssize_t on_tar_bytes(archive*, void* user, const void* bytes, size_t count) {
  auto& output = *static_cast<TarOutput*>(user);
  auto written = output.gzip.write({static_cast<const char*>(bytes), count});
  if (written) return static_cast<la_ssize_t>(count);
  output.error = std::move(written).error();
  return -1;
}

class Packer {
 public:
  Packer(const ByteSink& sink, const std::function<void(uint64_t)>& on_bytes)
      : on_bytes_(on_bytes), output_{Gzip(sink), std::nullopt}, tar_(archive_write_new()) {
    archive_write_set_format_pax_restricted(tar_.get());
    archive_write_set_bytes_per_block(tar_.get(), 256 << 10);
    archive_write_set_bytes_in_last_block(tar_.get(), 1);
  }

  Result<> pack(const fs::path& folder) {
    if (archive_write_open(tar_.get(), &output_, nullptr, on_tar_bytes, nullptr) != ARCHIVE_OK) {
      return failure("writing an archive");
    }
    TRY(add_folder(folder, ""));
    if (archive_write_close(tar_.get()) != ARCHIVE_OK) return failure("writing an archive");
    return output_.gzip.finish();
  }

 private:
  Failure failure(std::string_view doing) {
    if (output_.error) return Failure(*output_.error);
    return fail(Code::internal, "{}: {}", doing, reason_of(tar_.get()));
  }

  Result<> add_folder(const fs::path& folder, const std::string& name) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      names.push_back(entry.path().filename());
    }
    if (error) return fail_errno(error.value(), "reading " + folder.string());
    std::sort(names.begin(), names.end());
    for (const std::string& child : names) TRY(add(folder / child, name + child));
    return {};
  }

  Result<> add(const fs::path& path, const std::string& name) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, "reading " + path.string());
    bool is_kept = S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) || S_ISLNK(info.st_mode);
    if (!is_kept) return {};
    Entry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_mode(entry.get(), info.st_mode & ~static_cast<mode_t>(S_ISUID | S_ISGID));
    archive_entry_set_mtime(entry.get(), info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    if (S_ISDIR(info.st_mode)) {
      TRY(add_header(entry.get()));
      return add_folder(path, name + "/");
    }
    if (S_ISLNK(info.st_mode)) {
      std::error_code error;
      archive_entry_set_symlink(entry.get(), fs::read_symlink(path, error).c_str());
      return add_header(entry.get());
    }
    archive_entry_set_size(entry.get(), info.st_size);
    // A file that was replaced by a link or FIFO meanwhile must not be followed or waited for.
    Fd file = TRY(open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    TRY(add_header(entry.get()));
    return add_content(file.get(), static_cast<uint64_t>(info.st_size));
  }

  Result<> add_header(archive_entry* entry) {
    if (archive_write_header(tar_.get(), entry) < ARCHIVE_WARN)
      return failure("writing an archive");
    return {};
  }

  // Exactly `size` bytes, as the header says: a file that grew is cut, one that shrank is filled
  // up.
  Result<> add_content(int file, uint64_t size) {
    for (uint64_t offset = 0; offset < size;) {
      size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), size - offset));
      size_t count = TRY(read_at(file, std::span(buffer_).first(wanted), offset));
      if (count == 0) {
        std::fill_n(buffer_.begin(), wanted, '\0');
        count = wanted;
      }
      if (archive_write_data(tar_.get(), buffer_.data(), count) < 0) {
        return failure("writing an archive");
      }
      offset += count;
      if (on_bytes_) on_bytes_(count);
    }
    return {};
  }

  const std::function<void(uint64_t)>& on_bytes_;
  TarOutput output_;
  Archive tar_;
  std::vector<char> buffer_ = std::vector<char>(1 << 20);
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

Result<> pack(const fs::path& folder, const ByteSink& sink,
              const std::function<void(uint64_t bytes)>& on_bytes) {
  Utf8Locale locale;
  return Packer(sink, on_bytes).pack(folder);
}

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
