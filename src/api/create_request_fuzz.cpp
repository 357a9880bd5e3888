// SPDX-License-Identifier: Apache-2.0
// CreateTrainingJob requests: what passes the checks can be turned into an assignment.
#include "api/model/api_model.hpp"
#include "api/sagemaker/create_request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainyard;
  auto document = json::parse_object({reinterpret_cast<const char*>(data), size});
  if (!document) return 0;
  if (api::check(*document, api::input_of("CreateTrainingJob"))) return 0;
  if (api::sagemaker::check_rules(*document)) return 0;
  static_cast<void>(api::sagemaker::to_assignment(*document));
  return 0;
}
