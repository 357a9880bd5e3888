// SPDX-License-Identifier: Apache-2.0
#include "hydrate/hydrate.hpp"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "hydrate/state_files.hpp"

namespace trainyard::hydrate {

namespace {

constexpr size_t kPlanLimitBytes = 1 << 30;

// Each folder and file once, and none of them both.
Result<> check_paths(const std::vector<LazyFile>& files) {
  std::set<std::string> folders;
  std::set<std::string_view> names;
  for (const LazyFile& file : files) {
    fs::path path(file.path);
    bool is_good = !file.path.empty() && file.path.find('\0') == std::string::npos &&
                   path.is_relative() && file.path.find("//") == std::string::npos;
    for (const fs::path& part : path)
      is_good = is_good && part != ".." && part != "." && !part.empty();
    if (!is_good) return fail(Code::invalid, "'{}' cannot be a file's path", file.path);
    if (file.size > static_cast<uint64_t>(INT64_MAX)) {
      return fail(Code::invalid, "{} is too large", file.path);
    }
    if (!names.insert(file.path).second) {
      return fail(Code::invalid, "'{}' is there twice", file.path);
    }
    for (fs::path at = path.parent_path(); !at.empty(); at = at.parent_path()) {
      if (!folders.insert(at.string()).second) break;
    }
  }
  for (const LazyFile& file : files) {
    if (folders.contains(file.path)) {
      return fail(Code::invalid, "'{}' is a file and a folder", file.path);
    }
  }
  return {};
}

Result<LazyFile> parse_file(const json::value& value) {
  const json::object* entry = value.if_object();
  if (entry == nullptr) return fail(Code::invalid, "an entry of files is no object");
  LazyFile file;
  file.path = TRY(json::get_string(*entry, "path"));
  file.object.bucket = TRY(json::get_string(*entry, "bucket"));
  file.object.key = TRY(json::get_string(*entry, "key"));
  file.etag = TRY(json::get_string(*entry, "etag"));
  int64_t size = TRY(json::get_integer(*entry, "size"));
  if (size < 0) return fail(Code::invalid, "the size of {} is negative", file.path);
  file.size = static_cast<uint64_t>(size);
  return file;
}

Result<Started> read_ready(const fs::path& state, const ProcessId& guardian) {
  auto text = TRY(read_file(ready_file(state)));
  auto document = TRY(json::parse_object(text));
  Started started{guardian, "", ""};
  started.tier = TRY(json::get_string(document, "tier"));
  started.note = TRY(json::get_string(document, "note"));
  return started;
}

Error read_failed(const fs::path& state) {
  auto text = read_file(failed_file(state));
  auto document = text ? json::parse_object(*text) : Failure(text.error());
  if (!document) return {Code::internal, "starting the daemon of a FastFile channel"};
  auto code = json::find_integer(*document, "code").value_or(-1);
  bool is_known = code >= 0 && code <= static_cast<int64_t>(Code::internal);
  return {is_known ? static_cast<Code>(code) : Code::internal,
          json::find_string(*document, "message").value_or("")};
}

// What a daemon that was killed left: a mount without a server, files, its records.
Result<> clear(const HydratePlan& plan) {
  if (find(plan.state)) {
    return fail(Code::conflict, "a daemon serves {} already", plan.state.string());
  }
  TRY(stop(plan.state));                                       // a hydrator without its guardian
  ::umount2(plan.tree.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);  // mostly there is none
  TRY(remove_tree(plan.tree));
  TRY(remove_tree(plan.state));
  return make_directories(plan.state, 0700);
}

void reap(const ProcessId& process) {
  ::waitpid(process.pid, nullptr, WNOHANG);  // our own child, unless the agent was restarted
}

Result<> wait_for_end(const ProcessId& process) {
  for (int i = 0; i < 15'000 && is_alive(process); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (!is_alive(process)) return {};
  return fail(Code::timeout, "process {} of a FastFile channel does not end", process.pid);
}

// Gently where it listens, which it does not while it makes many files.
Result<> end_guardian(const ProcessId& guardian) {
  send_signal(guardian, SIGTERM);
  if (!wait_for_end(guardian)) {
    send_signal(guardian, SIGKILL);
    TRY(wait_for_end(guardian));
  }
  reap(guardian);
  return {};
}

// A guardian that was killed leaves its FUSE mount behind; any other tree is no mount.
void detach_tree(const fs::path& state) {
  ::umount2((trial_folder(state) / "tree").c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  auto text = read_file(ready_file(state));
  auto document = text ? json::parse_object(*text) : Failure(text.error());
  if (!document) return;
  auto tree = json::find_string(*document, "tree");
  if (tree) ::umount2(tree->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

}  // namespace

std::string to_json(const HydratePlan& plan) {
  json::array files;
  for (const LazyFile& file : plan.files) {
    files.push_back(json::object{{"path", file.path},
                                 {"bucket", file.object.bucket},
                                 {"key", file.object.key},
                                 {"etag", file.etag},
                                 {"size", file.size}});
  }
  json::object document = transfer::to_json(plan.access);
  document["tree"] = plan.tree.string();
  document["state"] = plan.state.string();
  document["tier"] = plan.tier;
  document["stall_seconds"] = plan.stall_timeout.count();
  document["files"] = std::move(files);
  return json::serialize(document);
}

Result<HydratePlan> parse_plan(std::string_view text) {
  auto document = TRY(json::parse_object(text));
  HydratePlan plan;
  plan.access = TRY(transfer::parse_s3_access(document));
  plan.tree = TRY(json::get_string(document, "tree"));
  plan.state = TRY(json::get_string(document, "state"));
  plan.tier = TRY(json::get_string(document, "tier"));
  plan.stall_timeout = std::chrono::seconds(TRY(json::get_integer(document, "stall_seconds")));
  if (plan.tier != "auto" && plan.tier != "fanotify" && plan.tier != "fuse") {
    return fail(Code::invalid, "'{}' is no tier", plan.tier);
  }
  if (!plan.tree.is_absolute() || !plan.state.is_absolute()) {
    return fail(Code::invalid, "tree and state must be absolute paths");
  }
  if (plan.stall_timeout.count() < 1) return fail(Code::invalid, "stall_seconds is below 1");
  const json::array* files = json::find_array(document, "files");
  if (files == nullptr) return fail(Code::invalid, "files is missing");
  for (const json::value& value : *files) plan.files.push_back(TRY(parse_file(value)));
  TRY(check_paths(plan.files));
  return plan;
}

Result<Started> start(const fs::path& program, const HydratePlan& plan, std::stop_token stop) {
  TRY(clear(plan));
  std::string text = to_json(plan);
  if (text.size() > kPlanLimitBytes) return fail(Code::exhausted, "too many files");
  TRY(write_file_atomically(plan_file(plan.state), text, 0600));
  std::vector<std::string> command{program.string(), "hydrate", plan_file(plan.state).string()};
  ProcessId guardian = TRY(start_detached(command, plan.state / "log"));
  std::error_code error;
  while (!fs::exists(ready_file(plan.state), error)) {
    if (stop.stop_requested()) {
      TRY(end_guardian(guardian));
      return fail(Code::cancelled, "stopped");
    }
    if (!is_alive(guardian)) {
      reap(guardian);
      return Failure(read_failed(plan.state));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return read_ready(plan.state, guardian);
}

std::optional<ProcessId> find(const fs::path& state) {
  auto process = read_process(guardian_file(state));
  if (!process || !is_alive(*process)) return std::nullopt;
  return process;
}

Result<> stop(const fs::path& state) {
  // The hydrator ends by itself where its guardian told it to; after the guardian's own death it
  // denies reads until it is stopped here.
  if (auto guardian = find(state)) TRY(end_guardian(*guardian));
  if (auto hydrator = read_process(hydrator_file(state))) {
    send_signal(*hydrator, SIGKILL);
    TRY(wait_for_end(*hydrator));
  }
  detach_tree(state);
  return {};
}

void record_error(const fs::path& state, const ReadError& error) {
  log::error("a read failed", {{"cause", error.text()}});
  json::object document{
      {"object", error.object}, {"offset", error.offset}, {"cause", to_valid_utf8(error.cause)}};
  // A link never replaces: the first stays.
  fs::path temporary = state / ("error-" + random_hex(4));
  auto written = write_file_atomically(temporary, json::serialize(document), 0600);
  if (!written) log::warn("recording a failed read", {{"cause", written.error().message}});
  if (::link(temporary.c_str(), error_file(state).c_str()) != 0 && errno != EEXIST) {
    log::warn("recording a failed read", {{"errno", errno}});
  }
  ::unlink(temporary.c_str());
}

std::optional<ReadError> first_error(const fs::path& state) {
  auto text = read_file(error_file(state));
  if (!text) return std::nullopt;
  auto document = json::parse_object(*text);
  if (!document) return ReadError{"", 0, *text};
  return ReadError{json::find_string(*document, "object").value_or(""),
                   static_cast<uint64_t>(json::find_integer(*document, "offset").value_or(0)),
                   json::find_string(*document, "cause").value_or("")};
}

std::string ReadError::text() const {
  if (object.empty()) return cause;
  return fmt::format("{} at byte {}: {}", object, offset, cause);
}

}  // namespace trainyard::hydrate
