// SPDX-License-Identifier: Apache-2.0
#include "aws/cbor.hpp"

#include <cbor.h>

#include <algorithm>
#include <memory>

#include "base/text.hpp"

namespace trainyard::aws {

namespace {

constexpr int kMaxDepth = 32;
constexpr uint64_t kEpochTag = 1;

struct Release {
  void operator()(cbor_item_t* item) const { cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, Release>;

std::string bytes_of(const unsigned char* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A text, of one piece or of several.
std::string text_of(const cbor_item_t* item) {
  if (cbor_string_is_definite(item)) {
    return bytes_of(cbor_string_handle(item), cbor_string_length(item));
  }
  std::string text;
  cbor_item_t** chunks = cbor_string_chunks_handle(item);
  for (size_t i = 0; i < cbor_string_chunk_count(item); ++i) {
    text += bytes_of(cbor_string_handle(chunks[i]), cbor_string_length(chunks[i]));
  }
  return text;
}

Failure no_counterpart() {
  return fail(Code::invalid, "malformed CBOR: a value that a request cannot hold");
}

Result<json::value> convert(cbor_item_t* item, int depth);

Result<json::value> convert_map(cbor_item_t* item, int depth) {
  json::object object;
  cbor_pair* pairs = cbor_map_handle(item);
  for (size_t i = 0; i < cbor_map_size(item); ++i) {
    if (!cbor_isa_string(pairs[i].key)) return no_counterpart();
    std::string key = text_of(pairs[i].key);
    if (!is_valid_utf8(key)) return no_counterpart();
    object[key] = TRY(convert(pairs[i].value, depth + 1));
  }
  return object;
}

Result<json::value> convert_list(cbor_item_t* item, int depth) {
  json::array list;
  cbor_item_t** elements = cbor_array_handle(item);
  for (size_t i = 0; i < cbor_array_size(item); ++i) {
    list.push_back(TRY(convert(elements[i], depth + 1)));
  }
  return list;
}

Result<json::value> convert_simple(cbor_item_t* item) {
  // The library aborts when a float is asked whether it is a simple value.
  if (!cbor_float_ctrl_is_ctrl(item)) return json::value(cbor_float_get_float(item));
  if (cbor_is_bool(item)) return json::value(cbor_get_bool(item));
  if (cbor_is_null(item) || cbor_is_undef(item)) return json::value(nullptr);
  return no_counterpart();
}

Result<json::value> convert(cbor_item_t* item, int depth) {
  if (depth > kMaxDepth) return fail(Code::invalid, "malformed CBOR: nested too deep");
  switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
    case CBOR_TYPE_NEGINT: {
      uint64_t number = cbor_get_int(item);
      if (number > INT64_MAX) return no_counterpart();
      auto magnitude = static_cast<int64_t>(number);
      return json::value(cbor_isa_negint(item) ? -1 - magnitude : magnitude);
    }
    case CBOR_TYPE_STRING: {
      std::string text = text_of(item);
      if (!is_valid_utf8(text)) return no_counterpart();
      return json::value(text);
    }
    case CBOR_TYPE_ARRAY:
      return convert_list(item, depth);
    case CBOR_TYPE_MAP:
      return convert_map(item, depth);
    case CBOR_TYPE_TAG: {
      if (cbor_tag_value(item) != kEpochTag) return no_counterpart();
      Item inner(cbor_tag_item(item));
      return convert(inner.get(), depth + 1);
    }
    case CBOR_TYPE_FLOAT_CTRL:
      return convert_simple(item);
    case CBOR_TYPE_BYTESTRING:
      break;
  }
  return no_counterpart();
}

Item build(const json::value& value, std::span<const std::string_view> timestamps, bool is_time);

Item build_number(const json::value& value, bool is_time) {
  if (is_time) {
    Item seconds(cbor_build_float8(value.to_number<double>()));
    return Item(cbor_build_tag(kEpochTag, seconds.get()));
  }
  if (!value.is_int64()) return Item(cbor_build_float8(value.to_number<double>()));
  int64_t number = value.get_int64();
  if (number >= 0) return Item(cbor_build_uint64(static_cast<uint64_t>(number)));
  return Item(cbor_build_negint64(static_cast<uint64_t>(-1 - number)));
}

Item build_text(std::string_view text) {
  return Item(cbor_build_stringn(text.data(), text.size()));
}

Item build_map(const json::object& object, std::span<const std::string_view> timestamps) {
  Item map(cbor_new_definite_map(object.size()));
  for (const auto& [key, value] : object) {
    std::string_view name(key.data(), key.size());
    bool is_time = std::find(timestamps.begin(), timestamps.end(), name) != timestamps.end();
    Item built_key = build_text(name);
    Item built = build(value, timestamps, is_time);
    static_cast<void>(cbor_map_add(map.get(), {built_key.get(), built.get()}));
  }
  return map;
}

Item build(const json::value& value, std::span<const std::string_view> timestamps, bool is_time) {
  if (value.is_string()) return build_text(json::view(value.get_string()));
  if (value.is_number()) return build_number(value, is_time);
  if (value.is_bool()) return Item(cbor_build_bool(value.get_bool()));
  if (const json::object* object = value.if_object()) return build_map(*object, timestamps);
  const json::array* list = value.if_array();
  if (list == nullptr) return Item(cbor_new_null());
  Item array(cbor_new_definite_array(list->size()));
  for (const json::value& element : *list) {
    Item built = build(element, timestamps, is_time);
    static_cast<void>(cbor_array_push(array.get(), built.get()));
  }
  return array;
}

}  // namespace

Result<json::value> parse_cbor(std::string_view bytes) {
  cbor_load_result loaded{};
  Item item(cbor_load(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), &loaded));
  if (!item || loaded.error.code != CBOR_ERR_NONE || loaded.read != bytes.size()) {
    return fail(Code::invalid, "malformed CBOR");
  }
  return convert(item.get(), 0);
}

std::string to_cbor(const json::value& value, std::span<const std::string_view> timestamps) {
  Item item = build(value, timestamps, false);
  unsigned char* buffer = nullptr;
  size_t capacity = 0;
  size_t size = cbor_serialize_alloc(item.get(), &buffer, &capacity);
  std::string bytes = bytes_of(buffer, size);
  free(buffer);
  return bytes;
}

}  // namespace trainyard::aws
