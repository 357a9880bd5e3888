// SPDX-License-Identifier: Apache-2.0
#include "transfer/folder_upload.hpp"

#include <deque>
#include <thread>

#include "base/guarded.hpp"

namespace trainyard::transfer {

namespace {

constexpr size_t kConnections = 4;
constexpr size_t kMaxWaiting = 1000;       // names
constexpr uint64_t kSmallBytes = 8 << 20;  // larger ones go in parts, one file at a time
constexpr auto kNever = std::chrono::steady_clock::time_point::max();

class FolderUpload {
 public:
  FolderUpload(S3Client& client, const fs::path& folder, const S3Uri& prefix)
      : client_(client), folder_(folder), prefix_(prefix) {}

  Result<UploadedFiles> run() {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < kConnections; ++i) threads.emplace_back([this] { work(); });
    auto walked = walk();
    state_.change([&](State& state) {
      state.is_complete = true;
      if (!walked && !state.error) state.error = std::move(walked).error();
    });
    threads.clear();  // joins
    return state_.with([](State& state) -> Result<UploadedFiles> {
      if (state.error) return Failure(std::move(*state.error));
      return state.uploaded;
    });
  }

 private:
  struct State {
    std::deque<std::string> waiting;  // names below the folder
    bool is_complete = false;         // no further ones come
    UploadedFiles uploaded;
    std::optional<Error> error;  // the first
  };

  Result<> walk() {
    std::error_code error;
    for (fs::recursive_directory_iterator entry(folder_, error), end; !error && entry != end;
         entry.increment(error)) {
      std::error_code gone;
      if (!fs::is_regular_file(entry->symlink_status(gone))) continue;
      uint64_t size = entry->file_size(gone);
      if (gone) continue;
      std::string name = entry->path().lexically_relative(folder_);
      if (size > kSmallBytes) {
        if (state_.with([](State& state) { return state.error.has_value(); })) return {};
        TRY(upload(client_, name));
      } else if (!hand_over(std::move(name))) {
        return {};
      }
    }
    if (error) return fail_errno(error.value(), "reading " + folder_.string());
    return {};
  }

  // False when an upload has failed.
  bool hand_over(std::string name) {
    auto has_room = [](State& state) { return state.error || state.waiting.size() < kMaxWaiting; };
    bool is_fine = state_.wait({}, kNever, has_room, [](State& state) { return !state.error; });
    if (is_fine) state_.change([&](State& state) { state.waiting.push_back(std::move(name)); });
    return is_fine;
  }

  void work() {
    S3Client client = client_.another();
    auto has_work = [](State& state) {
      return state.error || state.is_complete || !state.waiting.empty();
    };
    auto take = [](State& state) -> std::optional<std::string> {
      if (state.error || state.waiting.empty()) return std::nullopt;
      std::string name = std::move(state.waiting.front());
      state.waiting.pop_front();
      return name;
    };
    while (auto name = state_.wait({}, kNever, has_work, take)) {
      auto done = upload(client, *name);
      state_.change([&](State& state) {
        if (!done && !state.error) state.error = std::move(done).error();
      });
    }
  }

  Result<> upload(S3Client& client, const std::string& name) {
    uint64_t bytes = 0;
    auto done =
        client.upload(folder_ / name, prefix_.join(name), [&](uint64_t count) { bytes += count; });
    if (!done && done.error().code == Code::not_found && !fs::exists(folder_ / name)) return {};
    TRY(std::move(done));
    state_.with([&](State& state) {
      ++state.uploaded.files;
      state.uploaded.bytes += bytes;
    });
    return {};
  }

  S3Client& client_;
  const fs::path& folder_;
  const S3Uri& prefix_;
  Guarded<State> state_;
};

}  // namespace

Result<UploadedFiles> upload_folder(S3Client& client, const fs::path& folder, const S3Uri& prefix) {
  return FolderUpload(client, folder, prefix).run();
}

}  // namespace trainyard::transfer
