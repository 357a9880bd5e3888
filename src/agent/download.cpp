// SPDX-License-Identifier: Apache-2.0
#include "agent/channel_folder.hpp"
#include "agent/checkpoints.hpp"
#include "agent/script.hpp"
#include "agent/stages.hpp"
#include "transfer/archive.hpp"

namespace trainyard::agent {

namespace {

// contract.md G.7 (1)
Result<> fetch_source(const Context& context) {
  std::string source = script_of(context.assignment).submit_directory;
  if (source.empty()) return {};
  fs::path code = context.ml / "code";
  fs::path archive = context.folder / "sourcedir.tar.gz";
  if (source.starts_with("s3://")) {
    S3Uri object = TRY(S3Uri::parse(source));
    transfer::S3Client client(context.s3_access(object.bucket), context.stop);
    TRY(client.download(object, archive));
    return transfer::unpack(archive, code);
  }
  auto local = host_path(context, source);
  if (!local) {
    return fail(Code::invalid, "sagemaker_submit_directory '{}' is neither s3:// nor below /opt/ml",
                source);
  }
  std::error_code error;
  if (fs::is_directory(*local, error)) {
    fs::copy(*local, code, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
    if (error) return fail_errno(error.value(), "copying " + source);
    return {};
  }
  return transfer::unpack(*local, code);
}

}  // namespace

Result<> restore_checkpoints(Context& context) {
  if (!context.assignment.checkpoint) return {};
  context.checkpoints = std::make_shared<Checkpoints>(context);
  auto restored = context.checkpoints->restore();
  if (restored || restored.error().code == Code::cancelled) return restored;
  if (restored.error().message.starts_with("ClientError")) return restored;
  return client_error("Checkpoint download failed:" + restored.error().message);
}

Result<> take_over_checkpoints(Context& context) {
  if (!context.assignment.checkpoint) return {};
  context.checkpoints = std::make_shared<Checkpoints>(context);
  return context.checkpoints->take_over();
}

Result<> download(Context& context) {
  TRY(provide_channels(context));
  // An image's own launcher fetches its source, and only where the image brought none.
  if (context.is_in_container()) return {};
  auto fetched = fetch_source(context);
  if (fetched || fetched.error().code == Code::cancelled) return fetched;
  return client_error("Source download failed:" + fetched.error().message);
}

}  // namespace trainyard::agent
