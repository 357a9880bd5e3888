// SPDX-License-Identifier: Apache-2.0
// How fast a reader gets a large object through a pipe, against a loop that copies 64 KiB at a time
// through a pipe of the usual 64 KiB. One line of JSON for each way on standard output; "runs" are
// pairs of GB/s and CPU-seconds per GB, in the order of the rounds.
// usage: pipe_probe SCRATCH_FOLDER MEBIBYTES ROUNDS
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/check.hpp"
#include "http/client.hpp"
#include "pipe/feeder.hpp"
#include "pipe/store_server.hpp"

namespace trainyard::pipe {

namespace {

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Reads to the end as tf.data does, in large pieces, and does nothing with them.
uint64_t drain(const fs::path& path) {
  Fd fd = open_file(path, O_RDONLY).value();
  std::vector<char> buffer(1 << 20);
  uint64_t total = 0;
  for (;;) {
    ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    CHECK(count >= 0, "a pipe can be read");
    if (count == 0) return total;
    total += static_cast<uint64_t>(count);
  }
}

struct Rate {
  double gigabytes_per_second = 0;
  double seconds_per_gigabyte = 0;  // of processor, reader and server included
};

Rate measure(uint64_t bytes, const std::function<uint64_t()>& pass) {
  double used = processor_seconds();
  auto begin = std::chrono::steady_clock::now();
  CHECK(pass() == bytes, "all bytes come");
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  double gigabytes = static_cast<double>(bytes) * 1e-9;
  return {gigabytes / taken.count(), (processor_seconds() - used) / gigabytes};
}

// What simple feeders do: read and write, 64 KiB at a time.
uint64_t pass_by_copying(const fs::path& file, const fs::path& fifo) {
  std::thread writer([&] {
    Fd in = open_file(file, O_RDONLY).value();
    Fd out = open_file(fifo, O_WRONLY).value();
    std::vector<char> buffer(65536);
    for (ssize_t n; (n = ::read(in.get(), buffer.data(), buffer.size())) > 0;) {
      CHECK(write_all(out.get(), {buffer.data(), static_cast<size_t>(n)}), "written");
    }
  });
  uint64_t total = drain(fifo);
  writer.join();
  return total;
}

// The same from the store over HTTP, as it comes.
uint64_t pass_from_store_by_copying(const StoreServer& server, const fs::path& fifo) {
  std::thread writer([&] {
    Fd out = open_file(fifo, O_WRONLY).value();
    http::Call call;
    call.url = server.access().endpoint + "/bkt/large";
    call.sink = [&](int, std::string_view bytes) { return write_all(out.get(), bytes); };
    CHECK(http::Client().send(call), "it comes");
  });
  uint64_t total = drain(fifo);
  writer.join();
  return total;
}

void print(const char* name, std::vector<Rate> rates) {
  std::string runs;
  for (const Rate& rate : rates) {
    runs += fmt::format("{}[{:.3f},{:.4f}]", runs.empty() ? "" : ",", rate.gigabytes_per_second,
                        rate.seconds_per_gigabyte);
  }
  auto middle = rates.begin() + static_cast<ptrdiff_t>(rates.size() / 2);
  std::nth_element(rates.begin(), middle, rates.end(), [](const Rate& a, const Rate& b) {
    return a.gigabytes_per_second < b.gigabytes_per_second;
  });
  fmt::print("{{\"way\":\"{}\",\"gb_per_s\":{:.2f},\"cpu_s_per_gb\":{:.3f},\"runs\":[{}]}}\n", name,
             middle->gigabytes_per_second, middle->seconds_per_gigabyte, runs);
}

PipeChannel channel_of(const std::string& name, Source source) {
  PipeChannel channel;
  channel.name = name;
  channel.entries = {{Piece{"", std::move(source)}}};
  return channel;
}

// Many small objects of a store whose every answer takes 5 ms.
void run_far(const fs::path& folder, int rounds) {
  constexpr int kObjects = 200;
  constexpr uint64_t kObjectBytes = 100'000;
  StoreServer server(folder / "far");
  PipeChannel channel;
  channel.name = "far";
  for (int i = 0; i < kObjects; ++i) {
    Source source = server.put(fmt::format("k{}", i), random_bytes(kObjectBytes));
    channel.entries.push_back({Piece{"", std::move(source)}});
  }
  server.set_fault([](const http::Request&, http::Response&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  PipePlan plan{server.access(), {}, folder / "data", folder / "state", ::geteuid(), {channel}};
  auto feeder = Feeder::start(plan).value();
  std::vector<Rate> rates;
  for (int epoch = 0; epoch < rounds; ++epoch) {
    rates.push_back(measure(kObjects * kObjectBytes,
                            [&] { return drain(folder / "data" / fmt::format("far_{}", epoch)); }));
  }
  print("small objects, 5 ms away", rates);
}

void run(const fs::path& folder, uint64_t bytes, int rounds) {
  StoreServer server(folder / "store");
  Source remote = server.put("large", random_bytes(bytes));
  Source local = remote;
  local.file = StoreServer::store_file(folder / "store", bytes);
  CHECK(!local.file.empty(), "the object has its file");
  PipePlan plan{server.access(), {}, folder / "data", folder / "state", ::geteuid(), {}};
  plan.channels = {channel_of("local", local), channel_of("remote", remote)};
  auto feeder = Feeder::start(plan).value();
  fs::path fifo = folder / "fifo";
  CHECK(::mkfifo(fifo.c_str(), 0600) == 0, "a FIFO");
  std::vector<Rate> copied, copied_from_store, spliced, fetched;
  for (int epoch = 0; epoch < rounds; ++epoch) {
    auto channel = [&](const char* name) {
      return drain(folder / "data" / fmt::format("{}_{}", name, epoch));
    };
    copied.push_back(measure(bytes, [&] { return pass_by_copying(local.file, fifo); }));
    spliced.push_back(measure(bytes, [&] { return channel("local"); }));
    copied_from_store.push_back(
        measure(bytes, [&] { return pass_from_store_by_copying(server, fifo); }));
    fetched.push_back(measure(bytes, [&] { return channel("remote"); }));
  }
  print("local copy loop", copied);
  print("local pipe", spliced);
  print("remote copy loop", copied_from_store);
  print("remote pipe", fetched);
  feeder.reset();
}

}  // namespace

}  // namespace trainyard::pipe

int main(int count, char** arguments) {
  if (count != 4) {
    fmt::print(stderr, "usage: pipe_probe SCRATCH_FOLDER MEBIBYTES ROUNDS\n");
    return 2;
  }
  auto mebibytes = trainyard::parse_unsigned(arguments[2]);
  auto rounds = trainyard::parse_unsigned(arguments[3]);
  CHECK(mebibytes && *mebibytes > 0 && rounds && *rounds > 0, "numbers");
  trainyard::fs::path folder = arguments[1];
  for (const char* name : {"store", "far", "data", "state"}) {
    CHECK(trainyard::make_directories(folder / name), "a folder to work in");
  }
  trainyard::pipe::run(folder, *mebibytes << 20, static_cast<int>(*rounds));
  trainyard::pipe::run_far(folder, static_cast<int>(*rounds));
  return 0;
}
