// SPDX-License-Identifier: Apache-2.0
#include "transfer/tfrecord.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include "base/random.hpp"
#include "base/text.hpp"

namespace trainyard::transfer {

// Three records as TensorFlow 2.19 writes them: "first", "" and "third".
class TfrecordTest : public testing::Test {
 protected:
  void TearDown() override { static_cast<void>(remove_tree(file_)); }

  std::string broken(const std::string& bytes) {
    EXPECT_TRUE(write_file_atomically(file_, bytes));
    auto found = find_broken_record(file_);
    if (!found) return found.error().message;
    if (!*found) return "whole";
    return fmt::format("{} at {}: {}", (*found)->index, (*found)->offset, (*found)->what);
  }

  std::string gzip(const std::string& bytes) {
    gzFile stream = ::gzopen(file_.c_str(), "wb");
    ::gzwrite(stream, bytes.data(), static_cast<unsigned>(bytes.size()));
    ::gzclose(stream);
    return read_file(file_).value();
  }

  fs::path file_ = fs::temp_directory_path() / ("tfrecord-" + random_hex(8));
  std::string records_ = *from_hex(
      "0500000000000000eab2043e666972737455ff23e5000000000000000029039807d8ea82a2050000"
      "0000000000eab2043e74686972648cfd1075");
};

TEST_F(TfrecordTest, whole_files_are_whole) {
  EXPECT_EQ(broken(records_), "whole");
  EXPECT_EQ(broken(""), "whole");
}

TEST_F(TfrecordTest, a_changed_byte_is_found) {
  std::string bytes = records_;
  bytes[12] = 'F';
  EXPECT_EQ(broken(bytes), "0 at 0: its data do not match their checksum");
  bytes = records_;
  bytes[38] ^= 1;
  EXPECT_EQ(broken(bytes), "2 at 37: its length does not match its checksum");
}

TEST_F(TfrecordTest, an_early_end_is_found) {
  EXPECT_EQ(broken(records_.substr(0, 5)), "0 at 0: the file ends within its header");
  EXPECT_EQ(broken(records_.substr(0, 14)), "0 at 0: the file ends within its data");
  EXPECT_EQ(broken(records_.substr(0, 19)), "0 at 0: the file ends within its checksum");
}

TEST_F(TfrecordTest, gzip_is_unpacked) {
  std::string bytes = gzip(records_);
  EXPECT_EQ(broken(bytes), "whole");
  EXPECT_TRUE(broken(bytes.substr(0, bytes.size() - 4)).find("gzip data end badly") !=
              std::string::npos);
  std::string changed = records_;
  changed[12] = 'F';
  EXPECT_EQ(broken(gzip(changed)), "0 at 0: its data do not match their checksum");
}

TEST_F(TfrecordTest, other_files_are_broken_at_once) {
  EXPECT_EQ(broken("a,b,c\n1,2,3\n4,5,6\n"), "0 at 0: its length does not match its checksum");
}

}  // namespace trainyard::transfer
