// SPDX-License-Identifier: Apache-2.0
// For tests and probes: the embedded store behind real HTTP, as far as reading objects needs it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/random.hpp"
#include "base/text.hpp"
#include "http/server.hpp"
#include "objects/object_store.hpp"
#include "pipe/plan.hpp"

namespace trainyard::pipe {

class StoreServer {
 public:
  // Changes an answer on its way out; called on many threads.
  using Fault = std::function<void(const http::Request&, http::Response&)>;

  explicit StoreServer(const fs::path& folder) {
    store_ = objects::ObjectStore::open(folder, clock_).value();
    static_cast<void>(store_->create_bucket("bkt"));
    server_ =
        http::Server::start({}, [this](http::Request& request) { return answer(request); }).value();
  }

  transfer::S3Access access() const {
    return {
        fmt::format("http://127.0.0.1:{}", server_->port()), "us-west-2", {"KEY", "secret", ""}};
  }

  Source put(const std::string& key, const std::string& bytes) {
    http::TextBody body(bytes);
    auto object = store_->put("bkt", key, body, {});
    return {{"bkt", key}, bytes.size(), "\"" + object.value().etag + "\"", ""};
  }

  // The only file of that size in the store's folder.
  static fs::path store_file(const fs::path& folder, uint64_t size) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && entry.file_size() == size) return entry.path();
    }
    return {};
  }

  void set_fault(Fault fault) {
    fault_.with([&](Fault& current) { current = std::move(fault); });
  }

 private:
  http::Response answer(const http::Request& request) {
    http::Response response = read(request);
    Fault fault = fault_.with([](const Fault& current) { return current; });
    if (fault) fault(request, response);
    return response;
  }

  static http::Response error(int status, std::string_view code) {
    return {status, {}, fmt::format("<Error><Code>{}</Code></Error>", code)};
  }

  http::Response read(const http::Request& request) {
    auto path = percent_decode(request.path);
    auto found = store_->open_object("bkt", path->substr(5));  // "/bkt/"
    if (!found) return error(404, "NoSuchKey");
    std::string etag = "\"" + found->object.etag + "\"";
    auto match = request.headers.find("If-Match");
    if (match && *match != etag) return error(412, "PreconditionFailed");
    http::Response response;
    response.headers.add("ETag", etag);
    uint64_t offset = 0;
    uint64_t end = found->object.size;
    auto range = request.headers.find("Range");
    if (range) {
      auto bounds = split(range->substr(6), '-');  // "bytes="
      offset = parse_unsigned(bounds[0]).value();
      end = parse_unsigned(bounds[1]).value() + 1;
      response.status = 206;
    } else if (found->object.checksum) {
      const objects::Checksum& checksum = *found->object.checksum;
      response.headers.add(objects::header_name(checksum.algorithm), checksum.value);
      response.headers.add("x-amz-checksum-type", "FULL_OBJECT");
    }
    response.body = http::FileRange{found->file, offset, end - offset};
    return response;
  }

  SystemClock clock_;
  std::unique_ptr<objects::ObjectStore> store_;
  Guarded<Fault> fault_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace trainyard::pipe
