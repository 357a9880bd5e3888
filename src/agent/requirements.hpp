// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trainyard::agent {

// A requirements file of names, extras, versions and markers alone (PEP 508), without comments:
// installing it touches nothing but the index and runs no code of a package. nullopt when it holds
// anything else: options, paths, URLs. Such a file is the job's business and for the job's walls.
std::optional<std::string> plain_requirements(std::string_view text);

}  // namespace trainyard::agent
