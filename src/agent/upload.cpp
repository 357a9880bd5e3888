// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "agent/stages.hpp"
#include "base/move_over.hpp"
#include "base/text.hpp"
#include "transfer/archive.hpp"
#include "transfer/folder_upload.hpp"
#include "transfer/object_writer.hpp"

namespace trainyard::agent {

namespace {

// A folder of the job's own, and not what its script linked there.
Result<fs::path> real_folder(const Context& context, const char* name) {
  fs::path path = TRY(path_without_links(context.ml, name));
  std::error_code error;
  if (!fs::is_directory(path, error)) return fail(Code::denied, "it is no folder");
  return path;
}

Result<uint64_t> upload_archive(const Context& context, const fs::path& folder,
                                const S3Uri& object) {
  transfer::S3Client client(context.s3_access(object.bucket));
  transfer::ObjectWriter writer(client, object);
  uint64_t bytes = 0;
  TRY(transfer::pack(folder, [&](std::string_view piece) {
    bytes += piece.size();
    return writer.write(piece);
  }));
  TRY(writer.finish());
  return bytes;
}

// OutputDataConfig, CompressionType NONE.
Result<> upload_files(const Context& context, const fs::path& folder, const S3Uri& prefix) {
  transfer::S3Client client(context.s3_access(prefix.bucket));
  auto uploaded = TRY(transfer::upload_folder(client, folder, prefix));
  context.say(fmt::format("Uploaded {} files ({}) to {}", uploaded.files,
                          format_bytes(uploaded.bytes), prefix.text()));
  return {};
}

Result<> upload_all(const Context& context) {
  const protocol::Assignment& assignment = context.assignment;
  S3Uri output = TRY(S3Uri::parse(assignment.output_s3_uri)).join(assignment.job_name + "/output");
  auto model = real_folder(context, "model");
  if (!model) return fail(Code::invalid, "/opt/ml/model: {}", model.error().message);
  auto data = real_folder(context, "output/data");
  if (!assignment.is_output_compressed) {
    TRY(upload_files(context, *model, output.join("model")));
    return data ? upload_files(context, *data, output.join("data")) : Result<>();
  }
  uint64_t bytes = TRY(upload_archive(context, *model, output.join("model.tar.gz")));
  context.say(
      fmt::format("Uploaded {} ({})", output.join("model.tar.gz").text(), format_bytes(bytes)));
  std::error_code error;
  if (!data || fs::is_empty(*data, error)) return {};
  TRY(upload_archive(context, *data, output.join("output.tar.gz")));
  return {};
}

// What instances hand to their leader lies beside the job's output until it is merged. Each attempt
// has its own: what an earlier one handed over is no part of this one's model.
S3Uri handed_over(const Context& context, const std::string& host, const char* name) {
  const protocol::Assignment& assignment = context.assignment;
  auto output = S3Uri::parse(assignment.output_s3_uri).value_or(S3Uri{});
  return output.join(
      fmt::format("{}/.instances/{}/{}/{}", assignment.job_name, assignment.attempt, host, name));
}

constexpr auto kMerged = std::to_array<std::pair<const char*, const char*>>(
    {{"model", "model.tar.gz"}, {"output/data", "output.tar.gz"}});

Result<> hand_over(const Context& context) {
  for (const auto& [folder_name, archive] : kMerged) {
    auto folder = real_folder(context, folder_name);
    std::error_code error;
    if (!folder || fs::is_empty(*folder, error)) continue;
    TRY(upload_archive(context, *folder, handed_over(context, context.assignment.host, archive)));
  }
  return {};
}

// Puts what one instance handed over on top of what is in the folder (contract.md M 14).
Result<> merge(const Context& context, const std::string& host, const fs::path& folder,
               const S3Uri& object) {
  transfer::S3Client client(context.s3_access(object.bucket));
  fs::path place = context.folder / "merge";
  TRY(remove_tree(place));
  TRY(make_directories(place / "files"));
  auto came = client.download(object, place / "archive");
  if (!came && came.error().code == Code::not_found) return {};
  TRY(std::move(came));
  TRY(transfer::unpack(place / "archive", place / "files"));
  for (const std::string& clash : TRY(move_over(place / "files", folder))) {
    context.say(fmt::format("WARNING: {} of {} replaces that of an earlier instance", clash, host));
  }
  return remove_tree(place);
}

// The folders of all instances together, before the leader packs them.
Result<> merge_instances(const Context& context) {
  auto hosts = context.assignment.hosts;
  // algo-2 comes before algo-10.
  std::sort(hosts.begin(), hosts.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), a) < std::pair(b.size(), b);
  });
  for (const std::string& host : hosts) {
    if (host == context.assignment.host) continue;
    for (const auto& [name, archive] : kMerged) {
      auto folder = real_folder(context, name);
      if (!folder) continue;
      auto merged = merge(context, host, *folder, handed_over(context, host, archive));
      if (!merged) return Failure(std::move(merged).error().within("the files of " + host));
    }
  }
  return {};
}

// That of earlier attempts, too. What stays behind harms nobody.
void forget_handed_over(const Context& context) {
  S3Uri all = handed_over(context, "", "");
  all.key = all.key.substr(0, all.key.find("/.instances/")) + "/.instances/";
  transfer::S3Client client(context.s3_access(all.bucket));
  auto objects = client.list(all);
  for (size_t i = 0; objects && i < objects->size(); ++i) {
    static_cast<void>(client.remove({all.bucket, (*objects)[i].key}));
  }
}

// Files of several instances that are not packed need no leader: each uploads its own.
Result<> upload_share(const Context& context) {
  bool is_merged = context.has_peers() && context.assignment.is_output_compressed;
  if (!is_merged) return upload_all(context);
  if (!context.is_leader()) return context.is_given_up ? Result<>() : hand_over(context);
  // When one of them failed nothing waits for the others, but what they handed over is not lost.
  context.await_others({});
  TRY(merge_instances(context));
  TRY(upload_all(context));
  forget_handed_over(context);
  return {};
}

}  // namespace

Result<> upload(Context& context) {
  std::error_code error;
  bool is_said = context.recipe.launcher.has("saved_model_warning");  // run.cpp
  if (!is_said && context.is_leader() && fs::is_empty(context.ml / "model", error)) {
    context.say("No model artifact is saved under the path /opt/ml/model");
  }
  auto done = upload_share(context);
  if (!done) return client_error("Artifact upload failed:" + done.error().message);
  return done;
}

}  // namespace trainyard::agent
