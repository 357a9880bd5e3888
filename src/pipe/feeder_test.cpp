// SPDX-License-Identifier: Apache-2.0
#include "pipe/feeder.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <random>

#include "pipe/order.hpp"
#include "pipe/pipe.hpp"
#include "pipe/store_server.hpp"

namespace trainyard::pipe {
namespace {

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// As a reader of RecordIO would have it, written down apart from record_io.hpp.
std::string record_of(const std::string& bytes) {
  auto length = static_cast<uint32_t>(bytes.size());
  std::string record("\x0a\x23\xd7\xce", 4);
  record.append(reinterpret_cast<const char*>(&length), 4);
  record += bytes;
  while (record.size() % 4 != 0) record += '\0';
  return record;
}

// An object in each of its forms.
struct Thing {
  std::string bytes;
  Source remote, remote_gzip, local, local_gzip;
};

// A channel, and what is to come out of it.
struct Model {
  PipeChannel channel;
  std::vector<std::string> entries;  // what each amounts to

  std::string epoch(uint64_t number) const {
    std::string bytes;
    for (size_t index : order_of(channel, number)) bytes += entries[index];
    return bytes;
  }
};

class FeederTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"store", "data", "state", "files"}) {
      ASSERT_TRUE(make_directories(folder_ / name));
    }
    server_ = std::make_unique<StoreServer>(folder_ / "store");
  }
  void TearDown() override {
    feeder_.reset();
    server_.reset();
    static_cast<void>(remove_tree(folder_));
  }

  Source local(const std::string& name, const std::string& bytes) {
    fs::path file = folder_ / "files" / name;
    EXPECT_TRUE(write_file_atomically(file, bytes));
    return {{"bkt", name}, bytes.size(), "", file};
  }

  void make_things() {
    for (size_t size : {0,
                        0,
                        1,
                        2,
                        3,
                        4,
                        5,
                        100,
                        4095,
                        4096,
                        4097,
                        65536,
                        131'071,
                        131'072,
                        131'073,
                        700'001,
                        (1 << 20) - 8,
                        1 << 20,
                        (1 << 20) + 1,
                        2'500'000}) {
      std::string name = fmt::format("o{}", things_.size());
      // Half of them compress well, so that gzip grows on its way.
      std::string bytes = things_.size() % 2 == 0 ? random_bytes(size) : std::string(size, 'a');
      things_.push_back({bytes, server_->put(name, bytes), server_->put(name + ".gz", gzip(bytes)),
                         local(name, bytes), local(name + ".gz", gzip(bytes))});
    }
  }

  Model make_model(std::mt19937_64& random, const std::string& name) {
    Model model;
    PipeChannel& channel = model.channel;
    channel.name = name;
    channel.is_gzip = random() % 3 == 0;
    channel.is_record_io = random() % 3 == 0;
    if (random() % 2 == 0) channel.shuffle_seed = static_cast<int64_t>(random());
    channel.is_sharded = random() % 4 == 0;
    channel.host_count = 1 + random() % 3;
    channel.host_index = random() % channel.host_count;
    size_t remote_share = random() % 3;  // of 2: none, some, all
    for (uint64_t count = random() % 9; count > 0; --count) {
      Entry entry;
      std::string amounts;
      for (uint64_t pieces = random() % 8 == 0 ? random() % 4 : 1; pieces > 0; --pieces) {
        std::string bytes;
        if (random() % 10 == 0) {
          bytes = random_bytes(random() % 20);
          entry.push_back({bytes, {}});
        } else {
          const Thing& thing = things_[random() % (random() % 4 == 0 ? things_.size() : 14)];
          bool is_remote = random() % 2 < remote_share;
          bytes = thing.bytes;
          entry.push_back({"", channel.is_gzip ? (is_remote ? thing.remote_gzip : thing.local_gzip)
                                               : (is_remote ? thing.remote : thing.local)});
        }
        amounts += channel.is_record_io ? record_of(bytes) : bytes;
      }
      channel.entries.push_back(std::move(entry));
      model.entries.push_back(std::move(amounts));
    }
    return model;
  }

  void start(std::vector<PipeChannel> channels) {
    PipePlan plan{server_->access(), {},          folder_ / "data",
                  folder_ / "state", ::geteuid(), std::move(channels)};
    auto feeder = Feeder::start(std::move(plan));
    ASSERT_TRUE(feeder) << feeder.error().message;
    feeder_ = *std::move(feeder);
  }

  fs::path fifo(const std::string& channel, uint64_t epoch) const {
    return folder_ / "data" / fmt::format("{}_{}", channel, epoch);
  }

  Fd open_reader(const std::string& channel, uint64_t epoch, int flags = 0) const {
    auto fd = open_file(fifo(channel, epoch), O_RDONLY | flags);
    EXPECT_TRUE(fd) << fd.error().message;
    return fd ? *std::move(fd) : Fd();
  }

  // Reads to the end, or until there are `limit` bytes.
  static std::string read_from(const Fd& fd, size_t chunk, size_t limit = SIZE_MAX) {
    std::string bytes;
    std::vector<char> buffer(chunk);
    while (bytes.size() < limit) {
      ssize_t count = ::read(fd.get(), buffer.data(), std::min(chunk, limit - bytes.size()));
      if (count <= 0) {
        EXPECT_EQ(count, 0) << errno;
        break;
      }
      bytes.append(buffer.data(), static_cast<size_t>(count));
    }
    return bytes;
  }

  // A reader that does to an epoch what readers do.
  void read_epoch(std::mt19937_64& random, const Model& model, uint64_t epoch) {
    std::string expected = model.epoch(epoch);
    for (;;) {
      const size_t chunks[] = {4096, 65536, 100'000, 1 << 20};
      size_t chunk = chunks[random() % 4];
      if (expected.size() < 20'000 && random() % 4 == 0) chunk = 1 + random() % 8;
      size_t limit = random() % 4 == 0 ? random() % (expected.size() + 1) : SIZE_MAX;
      // Who closes before the first byte may be faster than the next FIFO.
      bool is_last = limit != 0 && random() % 4 != 0;
      std::string bytes = read_from(open_reader(model.channel.name, epoch), chunk, limit);
      ASSERT_EQ(bytes.size(), std::min(limit, expected.size()));
      ASSERT_TRUE(bytes == std::string_view(expected).substr(0, limit));
      ASSERT_EQ(first_error(folder_ / "state").value_or(""), "");
      if (is_last) return;  // else once more, from the start
    }
  }

  void run_cases(uint64_t seed, int count) {
    std::mt19937_64 random(seed);
    for (int number = 0; number < count && !HasFatalFailure(); ++number) {
      SCOPED_TRACE(fmt::format("seed {} case {}", seed, number));
      Model model = make_model(random, "c");
      Model unread = make_model(random, "unread");
      start({model.channel, unread.channel});
      for (uint64_t epoch = 0; epoch < 1 + random() % 4 && !HasFatalFailure(); ++epoch) {
        read_epoch(random, model, epoch);
      }
      feeder_.reset();
      EXPECT_TRUE(fs::is_empty(folder_ / "data"));
    }
  }

  // Of `share` answers one refuses and one breaks off halfway.
  StoreServer::Fault unreliable(uint64_t share) {
    auto random = std::make_shared<Guarded<std::mt19937_64>>(std::mt19937_64(5));
    fs::path empty = folder_ / "empty";
    EXPECT_TRUE(write_file_atomically(empty, ""));
    auto fault = [random, empty, share](const http::Request&, http::Response& response) {
      uint64_t luck = random->with([share](std::mt19937_64& engine) { return engine() % share; });
      if (luck == 0) response = {503, {}, "<Error><Code>SlowDown</Code></Error>"};
      auto* range = std::get_if<http::FileRange>(&response.body);
      if (luck != 1 || range == nullptr || range->length < 2) return;
      // The server finds its file shorter than it has announced, and breaks the connection.
      auto cut =
          std::make_shared<Fd>(open_file(empty.parent_path(), O_TMPFILE | O_RDWR, 0600).value());
      std::vector<char> half(range->length / 2);
      static_cast<void>(read_at(range->file->get(), half, range->offset));
      static_cast<void>(write_all(cut->get(), {half.data(), half.size()}));
      response.body = http::FileRange{cut, 0, range->length};
    };
    return fault;
  }

  // Reads on until the feeder reports an error; it must hold the reader then.
  std::string error_while_held(const Fd& reader) {
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    std::vector<char> buffer(1 << 20);
    ssize_t count = 1;
    for (bool is_told = false; count > 0 || (count < 0 && !is_told);) {
      is_told = first_error(folder_ / "state").has_value();  // before the last look at the pipe
      while ((count = ::read(reader.get(), buffer.data(), buffer.size())) > 0) {
      }
      if (!is_told) ::poll(nullptr, 0, 1);
    }
    EXPECT_EQ(count, -1) << "the reader saw the end of data";
    EXPECT_EQ(errno, EAGAIN);
    return *first_error(folder_ / "state");
  }

  static PipeChannel channel_of(std::vector<Source> sources) {
    PipeChannel channel;
    channel.name = "c";
    for (Source& source : sources) channel.entries.push_back({Piece{"", std::move(source)}});
    return channel;
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  std::unique_ptr<StoreServer> server_;
  std::unique_ptr<Feeder> feeder_;
  std::vector<Thing> things_;
};

TEST_F(FeederTest, gives_readers_of_all_kinds_the_bytes_of_the_model_1) {
  make_things();
  run_cases(1, 700);
}

TEST_F(FeederTest, gives_readers_of_all_kinds_the_bytes_of_the_model_2) {
  make_things();
  run_cases(2, 700);
}

TEST_F(FeederTest, gives_readers_of_all_kinds_the_bytes_of_the_model_3) {
  make_things();
  run_cases(3, 700);
}

TEST_F(FeederTest, survives_a_server_that_refuses_and_breaks_off) {
  make_things();
  server_->set_fault(unreliable(50));
  run_cases(6, 150);
}

TEST_F(FeederTest, passes_large_objects_on_through_faults) {
  std::string expected;
  std::vector<Source> sources;
  for (size_t size : {(5 << 20) + 1, 3, (9 << 20) - 4095, 130 << 10, 12 << 20}) {
    std::string bytes = random_bytes(size);
    sources.push_back(server_->put(fmt::format("large{}", sources.size()), bytes));
    expected += bytes;
  }
  server_->set_fault(unreliable(4));
  start({channel_of(sources)});
  for (uint64_t epoch = 0; epoch < 6; ++epoch) {
    size_t chunk = epoch % 2 == 0 ? 1 << 20 : 4097;
    if (epoch == 3) {  // who leaves early, and comes again
      EXPECT_TRUE(expected.starts_with(read_from(open_reader("c", epoch), chunk, 7 << 20)));
    }
    EXPECT_TRUE(read_from(open_reader("c", epoch), chunk) == expected) << epoch;
    EXPECT_EQ(first_error(folder_ / "state").value_or(""), "");
  }
}

TEST_F(FeederTest, lets_readers_keep_the_pages_of_large_objects) {
  std::string bytes = random_bytes(24 << 20);
  start({channel_of({server_->put("k", bytes)})});
  Fd reader = open_reader("c", 0);
  // Pages that were taken without a copy, of the first MiB, while all others come and go.
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Fd kept(ends[0]);
  Fd end(ends[1]);
  ::fcntl(end.get(), F_SETPIPE_SZ, 1 << 20);
  size_t moved = 0;
  while (moved < 500'000) {
    ssize_t count = ::splice(reader.get(), nullptr, end.get(), nullptr, 500'000 - moved, 0);
    ASSERT_GT(count, 0);
    moved += static_cast<size_t>(count);
  }
  end.reset();
  EXPECT_TRUE(read_from(reader, 1 << 20) == bytes.substr(moved));
  EXPECT_TRUE(read_from(kept, 1 << 20) == bytes.substr(0, moved));
}

TEST_F(FeederTest, asks_for_several_small_objects_at_once_and_keeps_their_order) {
  std::vector<Source> sources;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    std::string bytes = random_bytes(static_cast<size_t>(i * 997));
    expected += bytes;
    sources.push_back(server_->put(fmt::format("k{}", i), bytes));
  }
  // A far server: the first object comes when four others were asked for.
  auto asked = std::make_shared<Guarded<int>>(0);
  server_->set_fault([asked](const http::Request& request, http::Response&) {
    asked->change([](int& count) { ++count; });
    if (!request.path.ends_with("/k1")) return;
    auto are_there = [](const int& count) { return count >= 5; };
    asked->wait({}, std::chrono::steady_clock::time_point::max(), are_there, [](int&) {});
  });
  start({channel_of(sources)});
  for (uint64_t epoch : {0, 1, 2}) {
    EXPECT_TRUE(read_from(open_reader("c", epoch), 1 << 16) == expected);
  }
}

TEST_F(FeederTest, holds_the_reader_at_the_small_object_that_is_damaged) {
  std::vector<Source> sources;
  for (int i = 0; i < 20; ++i) sources.push_back(server_->put(fmt::format("k{}", i), "bytes"));
  server_->set_fault([](const http::Request& request, http::Response& response) {
    if (request.path.ends_with("/k7")) response.body = std::string("bytez");
  });
  start({channel_of(sources)});
  Fd reader = open_reader("c", 0);
  EXPECT_EQ(error_while_held(reader),
            "channel 'c', epoch 0: s3://bkt/k7 at byte 5: s3://bkt/k7: the 5 bytes that came do "
            "not match the object's checksum");
}

TEST_F(FeederTest, holds_the_reader_when_an_object_was_replaced) {
  Source before = server_->put("first", std::string(3 << 20, 'a'));
  Source replaced = server_->put("second", "old");
  server_->put("second", "new");
  start({channel_of({before, replaced})});
  Fd reader = open_reader("c", 0);
  std::string bytes = read_from(reader, 1 << 16, 1 << 20);
  EXPECT_EQ(
      error_while_held(reader),
      "channel 'c', epoch 0: s3://bkt/second at byte 0: GET s3://bkt/second: PreconditionFailed ");
}

TEST_F(FeederTest, holds_the_reader_when_a_bit_was_flipped) {
  Source source = server_->put("k", std::string(6 << 20, 'a'));
  server_->set_fault([](const http::Request&, http::Response& response) {
    std::string lie(6 << 20, 'a');
    lie[2'000'000] = 'b';
    response.body = lie;
  });
  start({channel_of({source})});
  Fd reader = open_reader("c", 0);
  std::string bytes = read_from(reader, 1 << 16, 2 << 20);
  EXPECT_EQ(
      error_while_held(reader),
      "channel 'c', epoch 0: s3://bkt/k at byte 6291456: s3://bkt/k: the 6291456 bytes that came "
      "do not match the object's checksum");
}

TEST_F(FeederTest, holds_the_reader_when_the_store_stays_away) {
  Source source = server_->put("k", "bytes");
  server_->set_fault([](const http::Request&, http::Response& response) {
    response = {503, {}, "<Error><Code>SlowDown</Code></Error>"};
  });
  start({channel_of({source})});
  EXPECT_EQ(error_while_held(open_reader("c", 0)),
            "channel 'c', epoch 0: s3://bkt/k at byte 0: GET s3://bkt/k: SlowDown ");
}

TEST_F(FeederTest, holds_the_reader_when_gzip_is_damaged) {
  std::string packed = gzip(random_bytes(100'000));
  packed[60'000] = static_cast<char>(packed[60'000] ^ 1);
  PipeChannel channel = channel_of({local("good", gzip("good")), local("bad", packed)});
  channel.is_gzip = true;
  start({channel});
  std::string error = error_while_held(open_reader("c", 0));
  EXPECT_TRUE(error.starts_with("channel 'c', epoch 0: s3://bkt/bad at byte ")) << error;
  EXPECT_NE(error.find("damaged gzip at byte "), std::string::npos) << error;
}

TEST_F(FeederTest, holds_the_reader_when_a_file_is_not_what_it_was) {
  Source shorter = local("f", "four");
  shorter.size = 5;
  start({channel_of({shorter})});
  EXPECT_EQ(error_while_held(open_reader("c", 0)),
            "channel 'c', epoch 0: s3://bkt/f at byte 0: its file has 4 bytes, the object 5");
}

TEST_F(FeederTest, keeps_the_other_channels_going_after_an_error) {
  Source shorter = local("f", "four");
  shorter.size = 5;
  PipeChannel good = channel_of({local("g", "good")});
  good.name = "good";
  start({channel_of({shorter}), good});
  Fd held = open_reader("c", 0);
  error_while_held(held);
  for (uint64_t epoch : {0, 1, 2}) EXPECT_EQ(read_from(open_reader("good", epoch), 10), "good");
}

TEST_F(FeederTest, ends_whatever_it_is_in) {
  // Waiting for a reader of "unread", in a write into "full", in a request for "slow".
  auto is_asked = std::make_shared<std::atomic<bool>>(false);
  auto goes_on = std::make_shared<std::atomic<bool>>(false);
  server_->set_fault([is_asked, goes_on](const http::Request&, http::Response&) {
    *is_asked = true;
    is_asked->notify_all();
    goes_on->wait(false);
  });
  PipeChannel full = channel_of({local("large", std::string(5 << 20, 'x'))});
  full.name = "full";
  PipeChannel slow = channel_of({server_->put("slow", "bytes")});
  slow.name = "slow";
  start({channel_of({}), full, slow});
  Fd reader = open_reader("full", 0);
  int waiting = 0;
  while (waiting < 100'000) ::ioctl(reader.get(), FIONREAD, &waiting);
  Fd slow_reader = open_reader("slow", 0);
  is_asked->wait(false);
  feeder_.reset();
  EXPECT_LT(read_from(reader, 1 << 20).size(), 5U << 20);
  EXPECT_EQ(read_from(slow_reader, 10), "");
  EXPECT_TRUE(fs::is_empty(folder_ / "data"));
  *goes_on = true;
  goes_on->notify_all();
}

TEST_F(FeederTest, has_the_next_fifo_while_one_is_read_and_removes_the_ones_before) {
  start({channel_of({local("l", std::string(3 << 20, 'x'))})});
  EXPECT_FALSE(fs::exists(fifo("c", 1)));
  for (uint64_t epoch = 0; epoch < 4; ++epoch) {
    Fd reader = open_reader("c", epoch);
    read_from(reader, 1 << 16, 1 << 20);
    read_from(reader, 1 << 16, 1 << 20);  // more than the pipe holds: the feeder is in its write
    EXPECT_TRUE(fs::is_fifo(fifo("c", epoch + 1)));
    EXPECT_FALSE(fs::exists(fifo("c", epoch - 1)));
    EXPECT_EQ(read_from(reader, 1 << 16).size(), 1U << 20);
  }
}

TEST_F(FeederTest, gives_a_second_reader_of_an_epoch_all_of_it) {
  std::string bytes = random_bytes(3 << 20);
  start({channel_of({local("l", bytes)})});
  Fd first = open_reader("c", 0);
  std::string begin = read_from(first, 1 << 16, 1 << 20);
  Fd second = open_reader("c", 0);
  EXPECT_TRUE(begin + read_from(first, 1 << 16) == bytes);
  EXPECT_TRUE(read_from(second, 1 << 16) == bytes);
  EXPECT_EQ(read_from(first, 10), "");  // still at its end
}

TEST_F(FeederTest, lets_an_epoch_go_when_the_next_is_opened) {
  std::string bytes = random_bytes(3 << 20);
  start({channel_of({local("l", bytes)})});
  read_from(open_reader("c", 0), 10, 10);
  EXPECT_TRUE(read_from(open_reader("c", 1), 1 << 16) == bytes);
  EXPECT_FALSE(fs::exists(fifo("c", 0)));
}

TEST_F(FeederTest, inflates_a_large_record_by_way_of_the_disk) {
  std::string bytes(40 << 20, 'x');
  PipeChannel channel = channel_of({local("g", gzip(bytes)), local("h", gzip("end"))});
  channel.is_gzip = channel.is_record_io = true;
  start({channel});
  EXPECT_TRUE(read_from(open_reader("c", 0), 1 << 20) == record_of(bytes) + record_of("end"));
  EXPECT_TRUE(fs::is_empty(folder_ / "state"));
}

TEST_F(FeederTest, is_not_led_astray_by_what_the_script_puts_in_its_place) {
  start({channel_of({local("l", "bytes")})});
  fs::create_symlink("/dev/null", fifo("c", 1));
  EXPECT_EQ(read_from(open_reader("c", 0), 10), "bytes");
  EXPECT_TRUE(fs::is_fifo(fs::symlink_status(fifo("c", 1))));
  fs::remove(fifo("c", 2));
  fs::create_directory(fifo("c", 2));
  Fd reader = open_reader("c", 1);
  std::string error = error_while_held(reader);
  EXPECT_NE(error.find("naming it: Is a directory"), std::string::npos) << error;
}

TEST_F(FeederTest, stays_in_its_folder_when_the_script_puts_a_link_in_its_place) {
  start({channel_of({local("l", "bytes")})});
  ASSERT_TRUE(make_directories(folder_ / "elsewhere"));
  ASSERT_TRUE(write_file_atomically(folder_ / "elsewhere/c_1", "of the host"));
  fs::rename(folder_ / "data", folder_ / "moved");
  fs::create_symlink(folder_ / "elsewhere", folder_ / "data");
  {
    auto reader = open_file(folder_ / "moved/c_0", O_RDONLY);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(read_from(*reader, 10), "bytes");
  }
  EXPECT_TRUE(fs::is_fifo(folder_ / "moved/c_1"));
  feeder_.reset();
  EXPECT_EQ(read_file(folder_ / "elsewhere/c_1").value_or(""), "of the host");
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere/c_0"));
  EXPECT_TRUE(fs::is_empty(folder_ / "moved"));
}

TEST_F(FeederTest, gives_the_fifos_to_the_user) {
  start({channel_of({})});
  struct stat info {};
  ASSERT_EQ(::stat(fifo("c", 0).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0644U);
  EXPECT_EQ(info.st_uid, ::geteuid());
}

TEST_F(FeederTest, does_not_start_without_its_folder) {
  ASSERT_TRUE(remove_tree(folder_ / "data"));
  PipePlan plan{server_->access(), {},          folder_ / "data",
                folder_ / "state", ::geteuid(), {channel_of({}), channel_of({})}};
  auto feeder = Feeder::start(std::move(plan));
  ASSERT_FALSE(feeder);
  EXPECT_EQ(feeder.error().code, Code::not_found) << feeder.error().message;
}

}  // namespace
}  // namespace trainyard::pipe
