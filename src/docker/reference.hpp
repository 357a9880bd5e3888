// SPDX-License-Identifier: Apache-2.0
// The parts of an image's name, as docker reads it:
// https://github.com/distribution/reference (grammar in reference.go).
#pragma once

#include <string>

#include "base/result.hpp"

namespace trainyard::docker {

struct Reference {
  std::string registry;    // "docker.io" where none is named
  std::string repository;  // all before tag and digest, as it was written
  std::string tag;         // "latest" where neither tag nor digest is named
  std::string digest;      // "sha256:…"; wins over the tag

  // What a pull asks for: digest or tag.
  const std::string& version() const { return digest.empty() ? tag : digest; }
};

Result<Reference> parse_reference(std::string_view image);

}  // namespace trainyard::docker
