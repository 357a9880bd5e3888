// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

namespace trainyard::cli {

Interrupt::Interrupt() {
  sigemptyset(&taken_);
  // SIGUSR1 wakes our own thread at the end.
  for (int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&taken_, signal);
  pthread_sigmask(SIG_BLOCK, &taken_, &mask_before_);
  waiting_ = std::jthread([this] { wait(); });
}

void Interrupt::wait() {
  for (;;) {
    int signal = 0;
    sigwait(&taken_, &signal);
    if (end_.stop_requested()) return;
    if (signal == SIGUSR1) continue;
    if (stop_.stop_requested()) ::_exit(kExitStatus);
    fmt::print(stderr, "\nstopping; once more to end at once\n");
    stop_.request_stop();
  }
}

Interrupt::~Interrupt() {
  end_.request_stop();
  pthread_kill(waiting_.native_handle(), SIGUSR1);
  waiting_.join();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

}  // namespace trainyard::cli
