// SPDX-License-Identifier: Apache-2.0
// MD5s of many streams at the same time, in the lanes of md5_lanes.hpp. Streams hand in their
// bytes and go on reading and writing; whoever has to wait for its own hashes those of the others
// with them. A stream that is alone is hashed beside its owner, on another core. Internal to
// objects/ and transfer/.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/guarded.hpp"
#include "objects/checksum.hpp"
#include "objects/md5_lanes.hpp"

namespace trainyard::objects {

class Md5Stream;

// Must outlive its streams. Thread-safe. Holds no bytes: memory is what the owners hand in.
class Md5Pool {
 public:
  // For owners on threads of their own: fewer streams than `cores` are hashed each by itself,
  // beside their owners. 1: streams share lanes as soon as there are several, and no thread is
  // made.
  explicit Md5Pool(size_t cores);

 private:
  friend class Md5Stream;

  struct Job {
    enum class Phase : uint32_t { idle, pending, running };
    Md5State state;
    const char* data = nullptr;
    size_t blocks = 0;
    std::atomic<Phase> phase = Phase::idle;  // changes under the lock of `queue_`
    std::counting_semaphore<> looked_at{0};  // released after each change by others
  };
  struct Queue {
    std::deque<Job*> pending;
    size_t open = 0;     // streams
    size_t in_vain = 0;  // how many more owners do not wait for others: they did not come lately
  };
  enum class Turn { done, lead, for_others, for_leader };

  void open();
  void close();
  void submit(Job& job);
  void wait(Job& job);
  void help(const std::stop_token& stop);
  Turn turn_of(Queue& queue, Job& job, bool is_patient, std::vector<Job*>& jobs) const;
  void lead(std::vector<Job*> jobs);
  void hash(const std::vector<Job*>& jobs, size_t blocks);
  // Under the lock:
  bool has_idle_core(const Queue& queue) const;
  bool may_others_come(const Queue& queue) const;
  void join(Queue& queue, std::vector<Job*>& jobs) const;
  static void end_slice(Queue& queue, std::vector<Job*>& jobs, size_t blocks, const Job& own);

  const size_t cores_;
  Guarded<Queue> queue_;
  std::vector<std::jthread> helpers_;
};

// One MD5. Belongs to one thread.
class Md5Stream : public Digest {
 public:
  explicit Md5Stream(Md5Pool& pool);
  ~Md5Stream() override;  // waits for what was begun
  Md5Stream(const Md5Stream&) = delete;
  Md5Stream& operator=(const Md5Stream&) = delete;

  // Waits for the bytes before, then hands in these. They must stay until wait(), the next begin()
  // or the destructor has returned.
  void begin(std::string_view bytes);
  void wait();

  void add(std::string_view bytes) override;  // begin() and wait()
  std::string finish() override;

 private:
  void top_up(std::string_view& bytes);

  Md5Pool& pool_;
  Md5Pool::Job job_;
  std::array<char, kMd5BlockBytes> rest_;  // the beginning of a block
  uint64_t size_ = 0;                      // of all so far
};

}  // namespace trainyard::objects
