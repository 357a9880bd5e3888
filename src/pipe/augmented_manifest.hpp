// SPDX-License-Identifier: Apache-2.0
// Augmented manifests: lines of JSON whose attributes go through a pipe.
// https://docs.aws.amazon.com/sagemaker/latest/dg/augmented-manifest-stream.html
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pipe/plan.hpp"

namespace trainyard::pipe {

// Finds an object that a manifest names.
using Resolve = std::function<Result<Source>(const S3Uri& uri)>;

// Each line is an entry with a piece for each name, in the names' order; other attributes are
// passed over, and lines of blanks. An attribute whose name ends in "-ref" is the object that its
// s3:// text names. Of others text is given without quotes and escapes (AWS's example streams
// "line": "Call me Ishmael." so), and everything else as it is written in the file: 1.0 stays 1.0.
// `invalid`, with the number of the line, for a line that is no object, an attribute that is not
// there and a "-ref" that names no object; an error of `resolve` gets the number, too.
Result<std::vector<Entry>> parse_augmented_manifest(std::string_view text,
                                                    const std::vector<std::string>& names,
                                                    const Resolve& resolve);

}  // namespace trainyard::pipe
