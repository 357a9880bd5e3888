// SPDX-License-Identifier: Apache-2.0
// Environments that are there already: asked of their own Python, as nobody else knows where it
// looks for packages.
#pragma once

#include "environments/builder.hpp"

namespace trainyard::environments {

// `not_found` where there is no such Python or it lacks a module; the text says what to install.
Result<Environment> inspect_existing(const Existing& existing, const std::string& name);

}  // namespace trainyard::environments
