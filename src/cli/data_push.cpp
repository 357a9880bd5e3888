// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <functional>
#include <map>

#include "base/text.hpp"
#include "cli/data_commands.hpp"
#include "cli/data_objects.hpp"
#include "cli/interrupt.hpp"
#include "cli/local_tree.hpp"
#include "transfer/sync_file.hpp"

namespace trainyard::cli {

namespace {

constexpr size_t kMaxKeyBytes = 1024;
constexpr size_t kMaxShown = 20;
constexpr uint64_t kTeamBytes = 64 << 20;  // larger files are sent by all threads together

using Listed = std::map<std::string, transfer::ObjectSummary>;  // by path below the folder

struct Errors {
  std::vector<std::string> texts;
  bool is_hopeless = false;  // no other file would fare better
};

// The objects below the folder. One that is not there is made, or the error says how.
Result<Listed> list_target(transfer::S3Client& client, const S3Uri& target,
                           const PushOptions& options) {
  auto objects = client.list(target);
  bool has_no_bucket =
      !objects && objects.error().message.find("NoSuchBucket") != std::string::npos;
  if (has_no_bucket && options.makes_bucket) {
    if (!options.is_dry_run) TRY(client.create_bucket(target.bucket));
    return Listed();
  }
  if (has_no_bucket) {
    return fail(Code::not_found, "there is no bucket '{}'; --make-bucket makes it", target.bucket);
  }
  Listed listed;
  for (transfer::ObjectSummary& object : TRY(std::move(objects))) {
    std::string path = path_below(target, object.key);
    if (!path.empty()) listed.emplace(std::move(path), std::move(object));
  }
  return listed;
}

class Push {
 public:
  Push(Service& service, const PushOptions& options, S3Uri target)
      : options_(options),
        target_(std::move(target)),
        s3_(service.s3()),
        stop_on_interrupt_(interrupt_.token(), [this] { stop_.request_stop(); }) {}

  Result<int> run() {
    tree_ = TRY(read_tree(options_.folder, options_.follows_links));
    check_keys();
    transfer::S3Client client(s3_, stop_.get_token());
    auto listed = list_target(client, target_, options_);
    if (interrupt_.has_come()) return Interrupt::kExitStatus;
    listed_ = TRY(std::move(listed));
    find_changed();
    find_surplus();
    if (options_.is_dry_run) {
      print_plan();
    } else {
      upload();
      remove();
    }
    return print_end();
  }

 private:
  void check_keys() {
    std::erase_if(tree_.files, [&](const LocalFile& file) {
      bool is_too_long = target_.key.size() + file.path.size() > kMaxKeyBytes;
      if (is_too_long) {
        tree_.problems.push_back(shown_name(file.path) + ": its key is longer than 1,024 bytes");
      }
      return is_too_long;
    });
  }

  fs::path file_of(const LocalFile& file) const { return fs::path(options_.folder) / file.path; }
  S3Uri object_of(const std::string& path) const { return {target_.bucket, target_.key + path}; }

  // Those of another size, of other bytes, and those that are new, in their order.
  void find_changed() {
    std::vector<const LocalFile*> same_size;
    uint64_t bytes = 0;
    std::vector<char> is_changed(tree_.files.size(), 1);
    for (const LocalFile& file : tree_.files) {
      auto object = listed_.find(file.path);
      if (object == listed_.end() || object->second.size != file.size) continue;
      same_size.push_back(&file);
      bytes += file.size;
    }
    SharedProgress progress("Comparing", bytes);
    for_each(same_size.size(), options_.jobs, s3_, stop_.get_token(),
             [&](size_t i, transfer::S3Client& client) {
               const LocalFile& file = *same_size[i];
               auto same = transfer::compare_file(client, file_of(file), object_of(file.path),
                                                  listed_.at(file.path));
               progress.add(file.size);
               auto index = static_cast<size_t>(&file - tree_.files.data());
               // What cannot be compared is sent.
               is_changed[index] = same && *same != transfer::Sameness::same;
               if (!same) note(file.path, same.error());
             });
    for (size_t i = 0; i < tree_.files.size(); ++i) {
      if (is_changed[i] != 0) changed_.push_back(&tree_.files[i]);
    }
  }

  void find_surplus() {
    if (!options_.deletes) return;
    for (const auto& [path, object] : listed_) {
      auto file = std::lower_bound(
          tree_.files.begin(), tree_.files.end(), path,
          [](const LocalFile& one, const std::string& other) { return one.path < other; });
      if (file == tree_.files.end() || file->path != path) surplus_.push_back(path);
    }
  }

  // Errors that only a stop made are no news.
  void note(const std::string& path, const Error& error) {
    if (error.code == Code::cancelled) return;
    bool is_hopeless = is_retryable(error.code) || error.code == Code::denied;
    errors_.with([&](Errors& errors) {
      errors.texts.push_back(fmt::format("{}: {}", shown_name(path), error.message));
      errors.is_hopeless |= is_hopeless;
    });
    if (is_hopeless) stop_.request_stop();
  }

  void upload() {
    uint64_t bytes = 0;
    std::vector<const LocalFile*> small;
    for (const LocalFile* file : changed_) {
      bytes += file->size;
      if (file->size <= kTeamBytes) small.push_back(file);
    }
    SharedProgress progress("Uploading", bytes);
    for (const LocalFile* file : changed_) {
      if (file->size > kTeamBytes && !stop_.stop_requested()) {
        end_upload(*file, upload_by_all(*file, progress));
      }
    }
    for_each(small.size(), options_.jobs, s3_, stop_.get_token(),
             [&](size_t i, transfer::S3Client& client) {
               const LocalFile& file = *small[i];
               auto sent = transfer::upload_file(client, file_of(file), object_of(file.path),
                                                 [&](uint64_t count) { progress.add(count); });
               end_upload(file, std::move(sent));
             });
  }

  // Parts of a large file go at once.
  Result<> upload_by_all(const LocalFile& file, SharedProgress& progress) {
    transfer::S3Client first(s3_, stop_.get_token());
    auto upload = TRY(transfer::FileUpload::begin(first, file_of(file), object_of(file.path)));
    std::stop_source failed;
    std::stop_callback on_stop(stop_.get_token(), [&] { failed.request_stop(); });
    Guarded<Result<>> outcome;
    for_each(upload->parts(), options_.jobs, s3_, failed.get_token(),
             [&](size_t i, transfer::S3Client& client) {
               auto sent = upload->send(client, i);
               if (sent) return progress.add(*sent);
               outcome.with([&](Result<>& kept) {
                 if (kept) kept = Failure(sent.error());  // later ones were only stopped
               });
               failed.request_stop();
             });
    TRY(outcome.with([](Result<>& kept) { return kept; }));
    if (stop_.stop_requested()) return fail(Code::cancelled, "stopped");
    return upload->finish(first);
  }

  void end_upload(const LocalFile& file, Result<> sent) {
    if (!sent) {
      note(file.path, sent.error());
      return;
    }
    ++sent_;
    sent_bytes_ += file.size;
  }

  // Not while a part of the folder is unknown: what seems to be gone may only be unreadable.
  void remove() {
    bool is_certain =
        tree_.problems.empty() && errors_.with([](Errors& errors) { return errors.texts.empty(); });
    if (!is_certain || surplus_.empty()) return;
    for_each(surplus_.size(), options_.jobs, s3_, stop_.get_token(),
             [&](size_t i, transfer::S3Client& client) {
               auto removed = client.remove(object_of(surplus_[i]));
               if (removed) {
                 ++removed_;
               } else {
                 note(surplus_[i], removed.error());
               }
             });
  }

  void print_plan() const {
    for (const LocalFile* file : changed_) {
      fmt::print("upload {} ({})\n", shown_name(file->path), format_bytes(file->size));
    }
    for (const std::string& path : surplus_) fmt::print("delete {}\n", shown_name(path));
  }

  static void print_some(const std::vector<std::string>& texts, std::string_view what) {
    for (size_t i = 0; i < std::min(texts.size(), kMaxShown); ++i) {
      fmt::print(stderr, "trainyard: {}{}\n", what, texts[i]);
    }
    if (texts.size() > kMaxShown) {
      fmt::print(stderr, "trainyard: {}and {} more\n", what, texts.size() - kMaxShown);
    }
  }

  int print_end() {
    auto errors = errors_.with([](Errors& kept) { return kept; });
    print_some(tree_.problems, "skipped ");
    print_some(errors.texts, "");
    if (!tree_.links.empty()) {
      print_some(tree_.links, "not followed (--follow-links): ");
    }
    size_t failed = tree_.problems.size() + errors.texts.size();
    bool is_kept = !options_.is_dry_run && removed_ < surplus_.size() && !interrupt_.has_come();
    if (is_kept) {
      fmt::print(stderr, "trainyard: nothing more is deleted, since not all files could be read\n");
    }
    size_t same = tree_.files.size() - changed_.size();
    std::string text;
    if (options_.is_dry_run) {
      text = fmt::format("{} to upload, {} unchanged, {} to delete", with_commas(changed_.size()),
                         with_commas(same), with_commas(surplus_.size()));
    } else {
      text = fmt::format("{} uploaded ({}), {} unchanged", with_commas(sent_),
                         format_bytes(sent_bytes_), with_commas(same));
      if (options_.deletes) text += fmt::format(", {} deleted", with_commas(removed_));
    }
    if (!tree_.links.empty()) text += fmt::format(", {} links", with_commas(tree_.links.size()));
    if (failed > 0) text += fmt::format(", {} failed", with_commas(failed));
    fmt::print("{}: {}\n", target_.text(), text);
    if (!interrupt_.has_come()) return failed > 0 ? 1 : 0;
    fmt::print(stderr, "interrupted; the same command goes on from here\n");
    return Interrupt::kExitStatus;
  }

  const PushOptions& options_;
  S3Uri target_;
  Interrupt interrupt_;
  transfer::S3Access s3_;
  std::stop_source stop_;  // by the interrupt, or since nothing can be sent any more
  std::stop_callback<std::function<void()>> stop_on_interrupt_;
  LocalTree tree_;
  Listed listed_;
  std::vector<const LocalFile*> changed_;
  std::vector<std::string> surplus_;
  Guarded<Errors> errors_;
  std::atomic<uint64_t> sent_ = 0;
  std::atomic<uint64_t> sent_bytes_ = 0;
  std::atomic<uint64_t> removed_ = 0;
};

}  // namespace

Result<int> push_data(Service& service, const PushOptions& options) {
  S3Uri target = TRY(parse_folder(options.uri));
  return Push(service, options, std::move(target)).run();
}

}  // namespace trainyard::cli
