// SPDX-License-Identifier: Apache-2.0
#include "cli/sdk_config.hpp"

#include "cli/commands.hpp"

namespace trainyard::cli {

std::string sdk_config_text(const Caller& caller, const std::string& bucket) {
  std::string session =
      bucket.empty() ? "" : fmt::format("      Session:\n        DefaultS3Bucket: {}\n", bucket);
  return fmt::format(
      "# Defaults of the SageMaker Python SDK for Trainyard, made by `trainyard sdk-config`.\n"
      "SchemaVersion: '1.0'\n"
      "SageMaker:\n"
      "  PythonSDK:\n"
      "    Modules:\n"
      "      TelemetryOptOut: true\n"
      "{}"
      "  TrainingJob:\n"
      "    RoleArn: {}\n",
      session, caller.role_arn);
}

Result<int> print_sdk_config(Service& service, const SdkConfigOptions& options) {
  Caller caller = TRY(service.caller());
  // The name that the SDK itself makes, so that both ways lead to the same bucket.
  std::string text = sdk_config_text(
      caller, fmt::format("sagemaker-{}-{}", service.access().region, caller.account_id));
  if (options.file.empty()) {
    fmt::print("{}", text);
    return 0;
  }
  std::error_code error;
  if (fs::exists(options.file, error) && !options.is_forced) {
    if (TRY(read_file(options.file)) == text) return 0;
    return fail(Code::conflict, "{} is there and says something else; --force replaces it",
                options.file);
  }
  fs::path folder = fs::path(options.file).parent_path();
  if (!folder.empty()) TRY(make_directories(folder));
  TRY(write_file_atomically(options.file, text));
  fmt::print("wrote {}\n", options.file);
  return 0;
}

}  // namespace trainyard::cli
