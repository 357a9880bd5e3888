// SPDX-License-Identifier: Apache-2.0
#include "agent/stages.hpp"
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

}  // namespace

Result<> upload(Context& context) {
  std::error_code error;
  bool is_said = context.recipe.launcher.has("saved_model_warning");  // run.cpp
  if (!is_said && fs::is_empty(context.ml / "model", error)) {
    context.say("No model artifact is saved under the path /opt/ml/model");
  }
  auto done = upload_all(context);
  if (!done) return client_error("Artifact upload failed:" + done.error().message);
  return done;
}

}  // namespace trainyard::agent
