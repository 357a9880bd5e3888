// SPDX-License-Identifier: Apache-2.0
#include "transfer/example_features.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/text.hpp"

namespace trainyard::transfer {

namespace {

std::string field(int number, std::string_view bytes) {
  std::string text(1, static_cast<char>(number << 3 | 2));
  for (size_t left = bytes.size();; left >>= 7) {
    text += static_cast<char>((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    if (left <= 0x7f) break;
  }
  return text + std::string(bytes);
}

std::string entry(std::string_view name, std::string_view feature) {
  return field(1, field(1, name) + field(2, feature));
}

std::string example(const std::string& entries) {
  return field(1, entries);
}

std::string bytes_list(std::initializer_list<std::string_view> values) {
  std::string list;
  for (std::string_view value : values) list += field(1, value);
  return field(1, list);
}

const std::string kFloats = field(2, field(1, std::string("\0\0\xc0\x3f\0\0\0\x40", 8)));  // 1.5 2
const std::string kIntegers = field(3, field(1,
                                             "\x01\xac\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                             "\x01"));  // 1 300 -1

std::string text_of(const ExampleFeatures& features) {
  std::string text = fmt::format("{} examples, {} others", features.examples(), features.others());
  for (const auto& [name, feature] : features.features()) {
    text += fmt::format("\n{} {}{} in {}, {}..{}: {}", name, feature.type(),
                        feature.is_list ? " list" : "", feature.records, feature.least_values,
                        feature.most_values, fmt::join(feature.examples, " "));
  }
  return text;
}

TEST(ExampleFeatures, all_types_are_counted) {
  ExampleFeatures features(3);
  features.add(example(entry("a", bytes_list({"one", "two"})) + entry("b", kFloats)));
  features.add(example(entry("a", bytes_list({})) + entry("c", kIntegers) + entry("d", "")));
  features.add("");  // an Example without features
  EXPECT_EQ(text_of(features),
            "3 examples, 0 others\n"
            "a bytes in 2, 0..2: \"one\" \"two\"\n"
            "b float in 1, 2..2: 1.5 2\n"
            "c int64 in 1, 3..3: 1 300 -1\n"
            "d ? in 1, 0..0: ");
}

TEST(ExampleFeatures, values_need_not_be_packed) {
  ExampleFeatures features(5);
  std::string integers = field(3, std::string("\x08\x05\x08\x06", 4));
  std::string floats = field(2, std::string("\x0d\0\0\x80\x3f", 5));
  features.add(example(entry("i", integers) + entry("f", floats)));
  EXPECT_EQ(text_of(features),
            "1 examples, 0 others\nf float in 1, 1..1: 1\n"
            "i int64 in 1, 2..2: 5 6");
}

TEST(ExampleFeatures, lists_of_sequences_are_counted_in_steps) {
  ExampleFeatures features(4);
  std::string steps = field(1, kIntegers) + field(1, kIntegers);
  features.add(example(entry("label", kFloats)) + field(2, entry("frames", steps)));
  EXPECT_EQ(text_of(features),
            "1 examples, 0 others\nframes int64 list in 1, 2..2: 1 300 -1\n"
            "label float in 1, 2..2: 1.5 2");
}

TEST(ExampleFeatures, other_records_change_nothing) {
  ExampleFeatures features(3);
  std::string good = example(entry("a", kFloats));
  features.add("\xff\xd8\xff\xe0 a picture");
  features.add("a,b,c\n");
  features.add(good + "\x1a\x01x");                              // a third field
  features.add(example(entry("a", field(2, field(1, "123")))));  // no whole float
  for (size_t size = 1; size < good.size(); ++size) features.add(good.substr(0, size));
  EXPECT_EQ(features.examples(), 0);
  EXPECT_EQ(features.others(), 4 + good.size() - 1);
  EXPECT_TRUE(features.features().empty());
}

TEST(ExampleFeatures, shards_are_merged) {
  ExampleFeatures first(2);
  ExampleFeatures second(2);
  first.add(example(entry("a", bytes_list({"x"}))));
  second.add(example(entry("a", kIntegers) + entry("b", kFloats)));
  second.add("no");
  first.merge(second);
  EXPECT_EQ(text_of(first),
            "2 examples, 1 others\na bytes|int64 in 2, 1..3: \"x\" 1\n"
            "b float in 1, 2..2: 1.5 2");
}

TEST(ExampleFeatures, bytes_are_shown_as_text_or_in_hex) {
  EXPECT_EQ(shown_bytes("Zürich"), "\"Zürich\"");
  EXPECT_EQ(shown_bytes(std::string("\0\x01", 2)), "<2 bytes: 0001>");
  EXPECT_EQ(shown_bytes(std::string(100, '\xff')), "<100 bytes: ffffffffffffffff…>");
  EXPECT_LE(shown_bytes(std::string(1000, 'x')).size(), 60);
}

}  // namespace

}  // namespace trainyard::transfer
