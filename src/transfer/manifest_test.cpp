// SPDX-License-Identifier: Apache-2.0
#include "transfer/manifest.hpp"

#include <gtest/gtest.h>

namespace trainyard::transfer {
namespace {

// "bucket|key prefix|path|path", or the error.
std::string parsed(std::string_view text) {
  auto keys = parse_manifest(text);
  if (!keys) return keys.error().code == Code::invalid ? keys.error().message : "another code";
  std::string line = keys->prefix.bucket + "|" + keys->prefix.key;
  for (const std::string& path : keys->paths) line += "|" + path;
  return line;
}

TEST(Manifest, names_what_follows_the_prefix) {
  EXPECT_EQ(parsed(R"([{"prefix":"s3://b/p/"},"a/1","a/2","a/1"])"), "b|p/|a/1|a/2|a/1");
  EXPECT_EQ(parsed(" [ {\"prefix\": \"s3://b/par\", \"other\": 1},\n \"t/1\" ]\n"), "b|par|t/1");
  EXPECT_EQ(parsed(R"([{"prefix":"s3://b"},"k"])"), "b||k");
  EXPECT_EQ(parsed(R"([{"prefix":"s3://b/p/"}])"), "b|p/");
  EXPECT_EQ(parsed(R"([{"prefix":"s3://b/"},"\u00e4 b/../c"])"), "b||ä b/../c");
}

TEST(Manifest, refuses_anything_else_by_element) {
  std::string no_list = R"(the manifest is no JSON list that begins with {"prefix": "s3://…"})";
  EXPECT_EQ(parsed("{}"), no_list);
  EXPECT_EQ(parsed("[]"), no_list);
  EXPECT_EQ(parsed(R"(["a"])"), no_list);
  EXPECT_EQ(parsed(R"([{"prefix":7}])"), "element 1 of the manifest has no text 'prefix'");
  EXPECT_EQ(parsed(R"([{"prefix":"https://b/p"},"a"])"),
            "element 1 of the manifest: 'https://b/p' does not start with s3://");
  EXPECT_EQ(parsed(R"([{"prefix":"s3://b/"},"a",{"prefix":"s3://c/"}])"),
            "element 3 of the manifest is no text, or an empty one");
  EXPECT_EQ(parsed(R"([{"prefix":"s3://b/"},""])"),
            "element 2 of the manifest is no text, or an empty one");
  EXPECT_TRUE(parsed("[{\"prefix\":\"s3://b/\"},\"a\"").starts_with("reading the manifest: "));
  EXPECT_TRUE(parsed("").starts_with("reading the manifest: "));
}

}  // namespace
}  // namespace trainyard::transfer
