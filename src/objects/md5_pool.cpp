// SPDX-License-Identifier: Apache-2.0
#include "objects/md5_pool.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace trainyard::objects {

namespace {

constexpr size_t kSliceBlocks = 1024;  // 64 KiB of each stream; then others may join
constexpr size_t kMostHelpers = 4;
constexpr std::chrono::microseconds kPatience{1000};  // no longer than a MiB takes by itself
constexpr size_t kInVain = 16;

}  // namespace

Md5Pool::Md5Pool(size_t cores) : cores_(std::max<size_t>(cores, 1)) {
  for (size_t i = 0; i < std::min(kMostHelpers, cores_ - 1); ++i) {
    helpers_.emplace_back([this](const std::stop_token& stop) { help(stop); });
  }
}

void Md5Pool::open() {
  queue_.with([](Queue& queue) { ++queue.open; });
}

void Md5Pool::close() {
  queue_.with([](Queue& queue) { --queue.open; });
}

// With as many streams as cores, one more thread would only take a core from their owners.
bool Md5Pool::has_idle_core(const Queue& queue) const {
  return queue.open < cores_;
}

void Md5Pool::submit(Job& job) {
  bool is_for_helper = queue_.with([&](Queue& queue) {
    job.phase = Job::Phase::pending;
    queue.pending.push_back(&job);
    return !helpers_.empty() && has_idle_core(queue);
  });
  if (is_for_helper) queue_.change([](Queue&) {});
}

// What the owner of a job has to do. `jobs` are what it leads.
Md5Pool::Turn Md5Pool::turn_of(Queue& queue, Job& job, bool is_patient,
                               std::vector<Job*>& jobs) const {
  if (job.phase == Job::Phase::idle) return Turn::done;
  if (job.phase == Job::Phase::running) return Turn::for_leader;
  if (may_others_come(queue)) {
    if (is_patient && queue.in_vain == 0) return Turn::for_others;
    queue.in_vain = is_patient ? queue.in_vain - 1 : kInVain;
  }
  std::erase(queue.pending, &job);
  job.phase = Job::Phase::running;
  jobs.push_back(&job);
  join(queue, jobs);
  return Turn::lead;
}

void Md5Pool::wait(Job& job) {
  for (bool is_patient = true;;) {
    std::vector<Job*> jobs;
    switch (queue_.with([&](Queue& queue) { return turn_of(queue, job, is_patient, jobs); })) {
      case Turn::done:
        return;
      case Turn::lead:
        lead(std::move(jobs));
        break;
      case Turn::for_leader:
        job.looked_at.acquire();
        break;
      case Turn::for_others:
        is_patient = job.looked_at.try_acquire_for(kPatience);
    }
  }
}

void Md5Pool::help(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<Job*> jobs;
    auto is_ready = [&](const Queue& queue) {
      return !queue.pending.empty() && has_idle_core(queue);
    };
    constexpr auto kForever = std::chrono::steady_clock::time_point::max();
    queue_.wait(stop, kForever, is_ready, [&](Queue& queue) {
      if (!is_ready(queue)) return;
      jobs.push_back(queue.pending.front());
      queue.pending.pop_front();
      jobs.front()->phase = Job::Phase::running;
      join(queue, jobs);
    });
    if (!jobs.empty()) lead(std::move(jobs));
  }
}

// Other streams that are being read and written now fill lanes in a moment. The owner who makes the
// number full leads.
bool Md5Pool::may_others_come(const Queue& queue) const {
  size_t enough = std::min(queue.open, md5_lanes() / 2);
  return !has_idle_core(queue) && enough >= md5_worthwhile_lanes() && queue.pending.size() < enough;
}

// Others join where lanes are free and that is faster than each by itself: where all cores are
// busy, and where they fill enough lanes.
void Md5Pool::join(Queue& queue, std::vector<Job*>& jobs) const {
  bool is_worth_it = jobs.size() + queue.pending.size() >= md5_worthwhile_lanes();
  if (!is_worth_it || has_idle_core(queue)) return;
  while (jobs.size() < md5_lanes() && !queue.pending.empty()) {
    jobs.push_back(queue.pending.front());
    jobs.back()->phase = Job::Phase::running;
    queue.pending.pop_front();
  }
}

// Hashes until the first of them is done. What is left of others is theirs again.
void Md5Pool::lead(std::vector<Job*> jobs) {
  const Job& own = *jobs.front();
  while (!jobs.empty()) {
    size_t blocks = kSliceBlocks;
    for (const Job* job : jobs) blocks = std::min(blocks, job->blocks);
    hash(jobs, blocks);
    queue_.with([&](Queue& queue) {
      end_slice(queue, jobs, blocks, own);
      if (!jobs.empty()) join(queue, jobs);
    });
  }
}

void Md5Pool::hash(const std::vector<Job*>& jobs, size_t blocks) {
  std::array<Md5Lane, kMd5MostLanes> lanes;
  for (size_t i = 0; i < jobs.size(); ++i) lanes[i] = {&jobs[i]->state, jobs[i]->data};
  advance_md5(std::span(lanes).first(jobs.size()), blocks);
}

// A stream ends only through the lock, so that a job outlives its semaphore's release.
void Md5Pool::end_slice(Queue& queue, std::vector<Job*>& jobs, size_t blocks, const Job& own) {
  for (Job* job : jobs) {
    job->data += blocks * kMd5BlockBytes;
    job->blocks -= blocks;
  }
  bool is_over = own.blocks == 0;
  std::erase_if(jobs, [&](Job* job) {
    if (job->blocks > 0 && !is_over) return false;
    if (job->blocks > 0) queue.pending.push_front(job);
    job->phase = job->blocks > 0 ? Job::Phase::pending : Job::Phase::idle;
    job->looked_at.release();
    return true;
  });
}

Md5Stream::Md5Stream(Md5Pool& pool) : pool_(pool) {
  pool_.open();
}

Md5Stream::~Md5Stream() {
  wait();
  pool_.close();
}

void Md5Stream::begin(std::string_view bytes) {
  wait();
  top_up(bytes);
  job_.data = bytes.data();
  job_.blocks = bytes.size() / kMd5BlockBytes;
  size_ += bytes.size();
  size_t left = bytes.size() % kMd5BlockBytes;
  if (left > 0) std::memcpy(rest_.data(), bytes.data() + bytes.size() - left, left);
  if (job_.blocks > 0) pool_.submit(job_);
}

// Completes a block that was begun.
void Md5Stream::top_up(std::string_view& bytes) {
  size_t begun = size_ % kMd5BlockBytes;
  if (begun == 0) return;
  size_t count = std::min(kMd5BlockBytes - begun, bytes.size());
  std::memcpy(rest_.data() + begun, bytes.data(), count);
  bytes.remove_prefix(count);
  size_ += count;
  if (begun + count == kMd5BlockBytes) advance_md5(job_.state, rest_.data(), 1);
}

void Md5Stream::wait() {
  if (job_.phase != Md5Pool::Job::Phase::idle || job_.blocks > 0) pool_.wait(job_);
}

void Md5Stream::add(std::string_view bytes) {
  begin(bytes);
  wait();
}

// RFC 1321, 3.1 to 3.5.
std::string Md5Stream::finish() {
  wait();
  uint64_t bits = size_ * 8;
  std::string padding = "\x80";
  padding.append((2 * kMd5BlockBytes - 9 - size_ % kMd5BlockBytes) % kMd5BlockBytes, '\0');
  padding.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  std::string end(rest_.data(), size_ % kMd5BlockBytes);
  end += padding;
  advance_md5(job_.state, end.data(), end.size() / kMd5BlockBytes);
  return {reinterpret_cast<const char*>(job_.state.words.data()), sizeof job_.state.words};
}

}  // namespace trainyard::objects
