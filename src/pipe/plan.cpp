// SPDX-License-Identifier: Apache-2.0
#include "pipe/plan.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "pipe/record_io.hpp"

namespace trainyard::pipe {

namespace {

json::object to_json(const Piece& piece) {
  if (!piece.object) return {{"bytes", to_base64(piece.bytes)}};
  const Source& source = *piece.object;
  json::object object{
      {"bucket", source.uri.bucket}, {"key", source.uri.key}, {"size", source.size}};
  if (!source.etag.empty()) object["etag"] = source.etag;
  if (!source.file.empty()) object["file"] = source.file.string();
  return object;
}

Result<Piece> parse_piece(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return fail(Code::invalid, "a piece is no object");
  if (auto text = json::find_string(*object, "bytes")) {
    auto bytes = from_base64(*text);
    if (!bytes) return fail(Code::invalid, "member 'bytes' is no base64");
    return Piece{*std::move(bytes), {}};
  }
  Source source;
  source.uri.bucket = TRY(json::get_string(*object, "bucket"));
  source.uri.key = TRY(json::get_string(*object, "key"));
  int64_t size = TRY(json::get_integer(*object, "size"));
  if (size < 0) return fail(Code::invalid, "member 'size' is negative");
  source.size = static_cast<uint64_t>(size);
  source.etag = json::find_string(*object, "etag").value_or("");
  source.file = json::find_string(*object, "file").value_or("");
  return Piece{{}, std::move(source)};
}

json::object header_of(const PipePlan& plan) {
  json::array remotes;
  for (const RemoteS3& remote : plan.remotes) remotes.push_back(to_json(remote));
  return {{"access", to_json(plan.access)}, {"remotes", std::move(remotes)},
          {"folder", plan.folder.string()}, {"state", plan.state.string()},
          {"user_id", plan.user_id},        {"channels", plan.channels.size()}};
}

json::object header_of(const PipeChannel& channel) {
  json::object object{{"name", channel.name},
                      {"is_gzip", channel.is_gzip},
                      {"is_record_io", channel.is_record_io},
                      {"is_sharded", channel.is_sharded},
                      {"host_index", channel.host_index},
                      {"host_count", channel.host_count},
                      {"entries", channel.entries.size()}};
  if (channel.shuffle_seed) object["shuffle_seed"] = *channel.shuffle_seed;
  return object;
}

// Takes the document's lines one after the other.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  Result<PipePlan> plan() {
    auto parsed = read();
    if (parsed) return parsed;
    return Failure(
        std::move(parsed).error().within(fmt::format("line {} of the pipe plan", line_)));
  }

 private:
  Result<json::value> next() {
    ++line_;
    size_t end = rest_.find('\n');
    if (end == std::string_view::npos) return fail(Code::invalid, "it is not there");
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return json::parse(line);
  }

  Result<json::object> next_object() {
    json::value value = TRY(next());
    if (!value.is_object()) return fail(Code::invalid, "it is no object");
    return std::move(value.get_object());
  }

  Result<PipePlan> read() {
    json::object object = TRY(next_object());
    PipePlan plan;
    const json::object* access = json::find_object(object, "access");
    if (access == nullptr) return fail(Code::invalid, "no object 'access'");
    plan.access = TRY(transfer::parse_s3_access(*access));
    if (const json::array* remotes = json::find_array(object, "remotes")) {
      for (const json::value& value : *remotes) {
        if (!value.is_object()) return fail(Code::invalid, "a remote is no object");
        plan.remotes.push_back(TRY(parse_remote(value.get_object())));
      }
    }
    plan.folder = TRY(json::get_string(object, "folder"));
    plan.state = TRY(json::get_string(object, "state"));
    plan.user_id = static_cast<uint32_t>(TRY(json::get_integer(object, "user_id")));
    int64_t count = TRY(json::get_integer(object, "channels"));
    for (int64_t i = 0; i < count; ++i) plan.channels.push_back(TRY(read_channel()));
    if (!rest_.empty()) return fail(Code::invalid, "there is more after it");
    TRY(check(plan));
    return plan;
  }

  Result<PipeChannel> read_channel() {
    json::object object = TRY(next_object());
    PipeChannel channel;
    channel.name = TRY(json::get_string(object, "name"));
    channel.is_gzip = json::find_bool(object, "is_gzip").value_or(false);
    channel.is_record_io = json::find_bool(object, "is_record_io").value_or(false);
    channel.is_sharded = json::find_bool(object, "is_sharded").value_or(false);
    channel.shuffle_seed = json::find_integer(object, "shuffle_seed");
    int64_t index = TRY(json::get_integer(object, "host_index"));
    int64_t hosts = TRY(json::get_integer(object, "host_count"));
    if (index < 0 || hosts < 1) return fail(Code::invalid, "no such host");
    channel.host_index = static_cast<size_t>(index);
    channel.host_count = static_cast<size_t>(hosts);
    int64_t count = TRY(json::get_integer(object, "entries"));
    for (int64_t i = 0; i < count; ++i) channel.entries.push_back(TRY(read_entry()));
    return channel;
  }

  Result<Entry> read_entry() {
    json::value value = TRY(next());
    const json::array* pieces = value.if_array();
    if (pieces == nullptr) return fail(Code::invalid, "it is no list");
    Entry entry;
    for (const json::value& piece : *pieces) entry.push_back(TRY(parse_piece(piece)));
    return entry;
  }

  std::string_view rest_;
  uint64_t line_ = 0;
};

Result<> check(const PipeChannel& channel) {
  bool is_file_name = !channel.name.empty() && channel.name.size() <= 200 &&
                      channel.name.find('/') == std::string::npos &&
                      channel.name.find('\0') == std::string::npos;
  if (!is_file_name) return fail(Code::invalid, "'{}' is no name of a channel", channel.name);
  if (channel.host_count == 0 || channel.host_index >= channel.host_count) {
    return fail(Code::invalid, "channel {}: host {} of {}", channel.name, channel.host_index,
                channel.host_count);
  }
  if (!channel.is_record_io) return {};
  for (const Entry& entry : channel.entries) {
    for (const Piece& piece : entry) {
      // What is inflated shows its length later.
      bool is_inflated = channel.is_gzip && piece.object;
      uint64_t size = piece.object ? piece.object->size : piece.bytes.size();
      if (is_inflated || size < kRecordIoLimit) continue;
      return fail(Code::invalid,
                  "channel {}: {} has {} bytes, a RecordIO record takes less than {}", channel.name,
                  piece.object ? piece.object->uri.text() : "an attribute", size, kRecordIoLimit);
    }
  }
  return {};
}

}  // namespace

std::string serialize(const PipePlan& plan) {
  std::string text = json::serialize(header_of(plan)) + "\n";
  for (const PipeChannel& channel : plan.channels) {
    text += json::serialize(header_of(channel)) + "\n";
    for (const Entry& entry : channel.entries) {
      json::array pieces;
      for (const Piece& piece : entry) pieces.push_back(to_json(piece));
      text += json::serialize(pieces) + "\n";
    }
  }
  return text;
}

Result<PipePlan> parse_plan(std::string_view text) {
  return Reader(text).plan();
}

Result<> check(const PipePlan& plan) {
  for (const PipeChannel& channel : plan.channels) TRY(check(channel));
  return {};
}

}  // namespace trainyard::pipe
