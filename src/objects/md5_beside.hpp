// SPDX-License-Identifier: Apache-2.0
// An MD5 on a thread of its own, beside a caller who reads and writes the same bytes. MD5 has no
// parallelism within, and alone it takes longer than all else that is done to a body. Internal to
// objects/.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/guarded.hpp"
#include "objects/checksum.hpp"

namespace trainyard::objects {

class Md5Beside {
 public:
  Md5Beside();

  // Waits for the bytes before, then begins with these. They must stay until the next call has
  // returned, or the destructor.
  void add(std::string_view bytes);
  // Raw bytes. Call it once, and last.
  std::string finish();

 private:
  struct Work {
    std::string_view bytes;
    bool is_done = true;
  };
  void run(const std::stop_token& stop);
  void wait_until_done();

  std::unique_ptr<Digest> md5_;  // the thread's while work is not done
  Guarded<Work> work_;
  std::jthread thread_;
};

}  // namespace trainyard::objects
