// SPDX-License-Identifier: Apache-2.0
#include "objects/md5_beside.hpp"

#include <chrono>

namespace trainyard::objects {

namespace {

constexpr auto kForever = std::chrono::steady_clock::time_point::max();

}  // namespace

Md5Beside::Md5Beside()
    : md5_(make_md5()), thread_([this](const std::stop_token& stop) { run(stop); }) {}

void Md5Beside::run(const std::stop_token& stop) {
  for (;;) {
    auto work = work_.wait(
        stop, kForever, [](const Work& now) { return !now.is_done; },
        [](const Work& now) { return now; });
    if (work.is_done) return;
    md5_->add(work.bytes);
    work_.change([](Work& now) { now.is_done = true; });
  }
}

void Md5Beside::wait_until_done() {
  work_.wait(
      {}, kForever, [](const Work& now) { return now.is_done; }, [](Work&) {});
}

void Md5Beside::add(std::string_view bytes) {
  wait_until_done();
  work_.change([&](Work& now) { now = {bytes, false}; });
}

std::string Md5Beside::finish() {
  wait_until_done();
  return md5_->finish();
}

}  // namespace trainyard::objects
