// SPDX-License-Identifier: Apache-2.0
#include "pipe/augmented_manifest.hpp"

#include <gtest/gtest.h>

namespace trainyard::pipe {
namespace {

// Entries in braces, pieces with '|' between them, objects as "<uri>"; or the error.
std::string parsed(std::string_view text, const std::vector<std::string>& names) {
  auto resolve = [](const S3Uri& uri) -> Result<Source> {
    if (uri.key == "gone") return fail(Code::not_found, "no {}", uri.text());
    return Source{uri, 1, "", ""};
  };
  auto entries = parse_augmented_manifest(text, names, resolve);
  if (!entries) return entries.error().message;
  std::string line;
  for (const Entry& entry : *entries) {
    line += "{";
    for (const Piece& piece : entry) {
      line += "|" + (piece.object ? "<" + piece.object->uri.text() + ">" : piece.bytes);
    }
    line += "}";
  }
  return line;
}

TEST(AugmentedManifest, gives_attributes_in_the_order_asked_for) {
  // The examples of AWS's guide.
  EXPECT_EQ(parsed(R"({"image-ref": "s3://b/foo/image1.jpg", "is-a-cat": 1}
{"image-ref": "s3://b/bar/image2.jpg", "is-a-cat": 0}
)",
                   {"image-ref", "is-a-cat"}),
            "{|<s3://b/foo/image1.jpg>|1}{|<s3://b/bar/image2.jpg>|0}");
  EXPECT_EQ(parsed(R"({"author": "Herman Melville", "line": "Call me Ishmael", "book": "Moby Dick"}
{"line": "It was love at first sight.", "author": "Joseph Heller", "book": "Catch-22"})",
                   {"line", "book"}),
            "{|Call me Ishmael|Moby Dick}{|It was love at first sight.|Catch-22}");
  EXPECT_EQ(parsed(R"({"a":1,"b":2})", {"b", "a", "b"}), "{|2|1|2}");
}

TEST(AugmentedManifest, gives_values_as_they_are_written_and_text_without_escapes) {
  EXPECT_EQ(parsed(R"( { "n" : 1.0 , "o" : { "x": [ 1, "}" , {} ] } ,"l":[],"t":true,"z":null } )",
                   {"n", "o", "l", "t", "z"}),
            R"({|1.0|{ "x": [ 1, "}" , {} ] }|[]|true|null})");
  EXPECT_EQ(parsed(R"({"s":"a\"b\\,\u00e4\n","\u0061":1e5,"big":123456789012345678901234567890})",
                   {"s", "a", "big"}),
            "{|a\"b\\,ä\n|1e5|123456789012345678901234567890}");
  EXPECT_EQ(parsed(R"({"a":1,"a":2})", {"a"}), "{|2}");
}

TEST(AugmentedManifest, passes_over_blank_lines) {
  EXPECT_EQ(parsed("", {"a"}), "");
  EXPECT_EQ(parsed("\n \r\n{\"a\":1}\r\n\n{\"a\":2}", {"a"}), "{|1}{|2}");
}

TEST(AugmentedManifest, names_the_line_of_an_error) {
  std::string line = "line 2 of the augmented manifest: ";
  auto error = [&](std::string_view second, std::string_view name) {
    return parsed("{\"a\":1,\"a-ref\":\"s3://b/k\"}\n" + std::string(second), {std::string(name)});
  };
  EXPECT_EQ(error(R"({"b":1})", "a"), line + "no attribute 'a'");
  EXPECT_EQ(error(R"({"a-ref":7})", "a-ref"), line + "attribute 'a-ref' is no text");
  EXPECT_EQ(error(R"({"a-ref":"/k"})", "a-ref"),
            line + "attribute 'a-ref': '/k' does not start with s3://");
  EXPECT_EQ(error(R"({"a-ref":"s3://b/"})", "a-ref"), line + "attribute 'a-ref' names no object");
  EXPECT_EQ(error(R"({"a-ref":"s3://b/gone"})", "a-ref"), line + "no s3://b/gone");
  for (const char* broken : {"{\"a\":1", "[1]", "1", "{\"a\":1}}", "{\"a\":1} {\"a\":2}", "{'a':1}",
                             "{\"a\":\"\xff\"}", "{", "\"", "{\"a\"}"}) {
    EXPECT_TRUE(error(broken, "a").starts_with(line)) << broken;
  }
}

}  // namespace
}  // namespace trainyard::pipe
