// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <thread>

#include "base/random.hpp"
#include "transfer/range_stream.hpp"

namespace trainyard::transfer {
namespace {

constexpr size_t kSize = (2 << 20) + 77;

// One connection after another over TLS, each answered with the same bytes until it ends.
class TlsServer {
 public:
  explicit TlsServer(const fs::path& certificate_file, std::string answer)
      : answer_(std::move(answer)), context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    make_certificate(certificate_file);
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), any, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), any, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TlsServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  int port() const { return port_; }

 private:
  // Of "127.0.0.1", signed by itself.
  void make_certificate(const fs::path& file) {
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    X509_set_pubkey(made.get(), key.get());
    auto* name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(made.get(), name);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(made.get(), names, -1);
    X509_EXTENSION_free(names);
    X509_sign(made.get(), key.get(), EVP_sha256());
    SSL_CTX_use_certificate(context_.get(), made.get());
    SSL_CTX_use_PrivateKey(context_.get(), key.get());
    FILE* out = ::fopen(file.c_str(), "w");
    PEM_write_X509(out, made.get());
    ::fclose(out);
  }

  void run() {
    for (;;) {
      Fd socket(::accept(listener_.get(), nullptr, nullptr));
      if (!socket) return;
      std::unique_ptr<SSL, decltype(&SSL_free)> session(SSL_new(context_.get()), SSL_free);
      SSL_set_fd(session.get(), socket.get());
      if (SSL_accept(session.get()) != 1) continue;
      char request[4096];
      while (SSL_read(session.get(), request, sizeof request) > 0) {  // it fits into one record
        SSL_write(session.get(), answer_.data(), static_cast<int>(answer_.size()));
      }
    }
  }

  std::string answer_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  Fd listener_;
  int port_ = 0;
  std::thread thread_;
};

class RangeStreamTlsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(folder_)); }
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  void serve(const std::string& head) {
    server_.emplace(folder_ / "certificate.pem", head + bytes_);
    access_.endpoint = fmt::format("https://127.0.0.1:{}", server_->port());
    access_.ca_file = folder_ / "certificate.pem";
  }

  Result<> keep(std::string_view piece) {
    got_ += piece;
    return {};
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  std::string bytes_ = random_bytes(kSize);
  std::optional<TlsServer> server_;
  S3Access access_{"", "us-west-2", {}};
  std::string got_;
};

TEST_F(RangeStreamTlsTest, ReadsRangesOverOneConnection) {
  serve(
      fmt::format("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n"
                  "Content-Range: bytes 5-{}/9999999\r\n\r\n",
                  kSize, kSize + 4));
  RangeStream stream(access_, {});
  for (int i = 0; i < 3; ++i) {  // a second connection would wait for the end of the first
    got_.clear();
    auto taken = stream.read({"bucket", "key"}, "", 5, kSize,
                             [&](std::string_view piece) { return keep(piece); });
    EXPECT_EQ(taken.value(), kSize);
    EXPECT_TRUE(got_ == bytes_);
  }
}

TEST_F(RangeStreamTlsTest, ReadsWholeObjects) {
  serve(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kSize));
  RangeStream stream(access_, {});
  ASSERT_TRUE(stream.open({"bucket", "key"}, "", kSize).value());
  EXPECT_EQ(stream.take([&](std::string_view piece) { return keep(piece); }).value(), kSize);
  EXPECT_TRUE(got_ == bytes_);
}

TEST_F(RangeStreamTlsTest, ServersThatNobodyVouchesForAreLeftAlone) {
  serve(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kSize));
  access_.ca_file = "";
  EXPECT_FALSE(RangeStream(access_, {}).open({"bucket", "key"}, "", kSize).value());
  access_.ca_file = folder_ / "none.pem";
  EXPECT_FALSE(RangeStream(access_, {}).open({"bucket", "key"}, "", kSize).value());
}

}  // namespace
}  // namespace trainyard::transfer
