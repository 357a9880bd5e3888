// SPDX-License-Identifier: Apache-2.0
// MetricDefinitions: values in log lines (contract.md K.2). RE2 takes time linear in the line, so
// no pattern can hang the service.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace trainyard::metrics {

struct Definition {
  std::string name;
  std::string regex;  // its first group is the value
};

// Why no value can ever come of the pattern; nothing where it is fine.
std::optional<std::string> fault_in(const std::string& regex);

struct Found {
  std::string name;
  double value = 0;
};

class Extractor {
 public:
  // Definitions with a fault are left out.
  explicit Extractor(const std::vector<Definition>& definitions);
  ~Extractor();

  // The first match of each definition; what is no finite number is none.
  std::vector<Found> values_in(std::string_view line) const;

 private:
  struct Pattern {
    std::string name;
    std::unique_ptr<re2::RE2> regex;
  };
  std::vector<Pattern> patterns_;
};

}  // namespace trainyard::metrics
