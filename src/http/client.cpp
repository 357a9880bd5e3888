// SPDX-License-Identifier: Apache-2.0
#include "http/client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace trainyard::http {

namespace {

// What one call's callbacks need.
struct Progress {
  const Call& call;
  std::stop_token stop;
  Answer answer;
  std::optional<Error> error;  // of the sink or the source
  size_t body_position = 0;
  bool has_told_headers = false;
};

size_t on_header(char* bytes, size_t, size_t count, void* user) {
  auto& progress = *static_cast<Progress*>(user);
  std::string_view line = trim({bytes, count});
  if (line.starts_with("HTTP/")) {  // a new response: the one before was 100 Continue
    progress.answer.headers = {};
    auto words = split(line, ' ');
    auto status = words.size() > 1 ? parse_unsigned(words[1]) : std::nullopt;
    progress.answer.status = static_cast<int>(status.value_or(0));
  } else if (size_t colon = line.find(':'); colon != std::string_view::npos) {
    progress.answer.headers.add(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  return count;
}

size_t on_body(char* bytes, size_t, size_t count, void* user) {
  auto& progress = *static_cast<Progress*>(user);
  std::string_view piece(bytes, count);
  if (progress.call.on_headers && !std::exchange(progress.has_told_headers, true)) {
    progress.call.on_headers(progress.answer.status, progress.answer.headers);
  }
  if (progress.call.sink) {
    auto taken = progress.call.sink(progress.answer.status, piece);
    if (taken) return count;
    progress.error = std::move(taken).error();
    return 0;
  }
  if (progress.answer.body.size() + count > progress.call.max_body_bytes) {
    progress.error = Error{Code::exhausted, fmt::format("the answer is larger than {} bytes",
                                                        progress.call.max_body_bytes)};
    return 0;
  }
  progress.answer.body += piece;
  return count;
}

size_t on_source(char* buffer, size_t, size_t count, void* user) {
  auto& progress = *static_cast<Progress*>(user);
  if (progress.call.source != nullptr) {
    auto read = progress.call.source->read({buffer, count});
    if (read) return *read;
    progress.error = std::move(read).error();
    return CURL_READFUNC_ABORT;
  }
  const std::string& body = progress.call.body;
  size_t piece = std::min(count, body.size() - progress.body_position);
  std::copy_n(body.data() + progress.body_position, piece, buffer);
  progress.body_position += piece;
  return piece;
}

int on_seek(void* user, curl_off_t offset, int origin) {
  auto& progress = *static_cast<Progress*>(user);
  if (progress.call.source != nullptr || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  progress.body_position = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Progress*>(user)->stop.stop_requested() ? 1 : 0;
}

Code code_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Code::timeout;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Code::invalid;
    case CURLE_PEER_FAILED_VERIFICATION:
      return Code::denied;
    case CURLE_OUT_OF_MEMORY:
      return Code::exhausted;
    default:
      return Code::unavailable;
  }
}

class FieldList {
 public:
  ~FieldList() { curl_slist_free_all(list_); }
  void add(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

bool is_loopback(std::string_view url) {
  return url.find("://127.") != std::string_view::npos ||
         url.find("://localhost") != std::string_view::npos ||
         url.find("://[::1]") != std::string_view::npos;
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
  curl_easy_setopt(handle, option, value);
}

void set_peer(CURL* handle, const Call& call) {
  if (is_loopback(call.url) || !call.unix_socket.empty()) set(handle, CURLOPT_PROXY, "");
  if (!call.unix_socket.empty()) set(handle, CURLOPT_UNIX_SOCKET_PATH, call.unix_socket.c_str());
  if (!call.ca_file.empty()) set(handle, CURLOPT_CAINFO, call.ca_file.c_str());
  if (call.certificate_file.empty()) return;
  set(handle, CURLOPT_SSLCERT, call.certificate_file.c_str());
  set(handle, CURLOPT_SSLKEY, call.key_file.c_str());
}

void set_method(CURL* handle, const Call& call) {
  uint64_t length = call.source != nullptr ? call.source->length().value_or(0) : call.body.size();
  bool has_body =
      call.source != nullptr || !call.body.empty() || call.method == "PUT" || call.method == "POST";
  if (has_body) {
    set(handle, CURLOPT_UPLOAD, 1L);
    set(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(length));
  }
  if (call.method == "HEAD") set(handle, CURLOPT_NOBODY, 1L);
  set(handle, CURLOPT_CUSTOMREQUEST, call.method.c_str());
}

void set_fields(FieldList& fields, const Call& call) {
  for (const auto& [name, value] : call.headers) {
    // curl leaves out "Name:", and sends an empty field for "Name;".
    fields.add(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!call.headers.find("Expect")) fields.add("Expect:");
  if (!call.headers.find("Content-Type")) fields.add("Content-Type:");
}

}  // namespace

struct Client::State {
  CURL* handle = curl_easy_init();
  ~State() { curl_easy_cleanup(handle); }
};

Client::Client() : state_(std::make_unique<State>()) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Answer> Client::send(const Call& call, std::stop_token stop) {
  CURL* handle = state_->handle;
  curl_easy_reset(handle);  // keeps its connections
  Progress progress{call, stop, {}, {}, 0, false};
  FieldList fields;
  set_fields(fields, call);
  set(handle, CURLOPT_URL, call.url.c_str());
  set(handle, CURLOPT_PATH_AS_IS, 1L);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  set_peer(handle, call);
  set(handle, CURLOPT_BUFFERSIZE, 512L << 10);
  set(handle, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  set(handle, CURLOPT_HTTPHEADER, fields.get());
  set(handle, CURLOPT_HEADERFUNCTION, on_header);
  set(handle, CURLOPT_HEADERDATA, &progress);
  set(handle, CURLOPT_WRITEFUNCTION, on_body);
  set(handle, CURLOPT_WRITEDATA, &progress);
  set(handle, CURLOPT_READFUNCTION, on_source);
  set(handle, CURLOPT_READDATA, &progress);
  set(handle, CURLOPT_SEEKFUNCTION, on_seek);
  set(handle, CURLOPT_SEEKDATA, &progress);
  set(handle, CURLOPT_NOPROGRESS, 0L);
  set(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
  set(handle, CURLOPT_XFERINFODATA, &progress);
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(call.connect_timeout.count()));
  set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  long stall_seconds = static_cast<long>(call.stall_timeout.count() / 1000);
  set(handle, CURLOPT_LOW_SPEED_TIME, std::max(1L, stall_seconds));
  set_method(handle, call);
  CURLcode code = curl_easy_perform(handle);
  if (progress.error) return Failure(*progress.error);
  if (stop.stop_requested()) return fail(Code::cancelled, "stopped");
  if (code != CURLE_OK) {
    return fail(code_of(code), "{} {}: {}", call.method, call.url, curl_easy_strerror(code));
  }
  return std::move(progress.answer);
}

}  // namespace trainyard::http
