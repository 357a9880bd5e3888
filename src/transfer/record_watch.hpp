// SPDX-License-Identifier: Apache-2.0
// Verdicts on TFRecord files from the bytes of their download, so that nobody has to read them
// again to look for damage.
#pragma once

#include <memory>
#include <unordered_map>

#include "base/guarded.hpp"
#include "transfer/fetch.hpp"
#include "transfer/record_verdict.hpp"

namespace trainyard::transfer {

// For one fetch_all(), which it must outlive:
//
//   options.observe = [&](const Fetch& fetch) { return watch.observe(fetch); };
//   options.on_file = [&](const Fetch& fetch) { watch.keep(fetch); };
//
// After it check_files() knows the files without reading them, but for those that came in ranges,
// and on file systems without attributes. Thread-safe.
class RecordWatch {
 public:
  std::unique_ptr<Observer> observe(const Fetch& fetch);

  // The file has its name: what was seen of its bytes is remembered with it.
  void keep(const Fetch& fetch);

 private:
  class Watcher;
  Guarded<std::unordered_map<std::string, RecordVerdict>> seen_;  // by path, until it has its name
};

}  // namespace trainyard::transfer
