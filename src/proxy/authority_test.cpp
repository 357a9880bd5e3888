// SPDX-License-Identifier: Apache-2.0
#include "proxy/authority.hpp"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <thread>

#include "base/random.hpp"
#include "proxy/certificate.hpp"

namespace trainyard::proxy {

class AuthorityTest : public testing::Test {
 protected:
  void TearDown() override { static_cast<void>(remove_tree(folder_)); }

  std::string open() { return Authority::open(folder_, clock_).value()->certificate_pem(); }

  fs::path folder_ = fs::temp_directory_path() / ("trainyard-" + random_hex(8));
  FakeClock clock_;
};

namespace {

// What a client that trusts the authority says to a leaf, when it looks for `host`.
std::string verdict(const Identity& authority, const Identity& leaf, const std::string& host,
                    Time now) {
  std::unique_ptr<X509_STORE, void (*)(X509_STORE*)> store(X509_STORE_new(), X509_STORE_free);
  X509_STORE_add_cert(store.get(), authority.certificate.get());
  std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> context(X509_STORE_CTX_new(),
                                                                     X509_STORE_CTX_free);
  X509_STORE_CTX_init(context.get(), store.get(), leaf.certificate.get(), nullptr);
  X509_VERIFY_PARAM* wanted = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_purpose(wanted, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_time(wanted, to_epoch_ms(now) / 1000);
  X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_X509_STRICT);
  bool is_address = host.find_first_not_of("0123456789.") == std::string::npos;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size());
  }
  if (X509_verify_cert(context.get()) == 1) return "trusted";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

}  // namespace

TEST_F(AuthorityTest, a_leaf_is_good_for_its_own_host_and_its_own_time) {
  Time now = clock_.now();
  auto authority = make_authority(now).value();
  std::string host = "bucket.s3.us-west-2.amazonaws.com";
  auto leaf = make_leaf(authority, host, now).value();
  EXPECT_EQ(verdict(authority, leaf, host, now), "trusted");
  EXPECT_EQ(verdict(authority, leaf, "sts.amazonaws.com", now), "hostname mismatch");
  EXPECT_EQ(verdict(authority, leaf, host, now + std::chrono::days(31)), "certificate has expired");
  EXPECT_EQ(verdict(make_authority(now).value(), leaf, host, now),
            "unable to get local issuer certificate");
  std::string long_host = std::string(60, 'b') + ".s3.us-west-2.amazonaws.com";
  EXPECT_EQ(verdict(authority, make_leaf(authority, long_host, now).value(), long_host, now),
            "trusted");
}

TEST_F(AuthorityTest, its_name_constraint_forbids_every_other_name) {
  Time now = clock_.now();
  auto authority = make_authority(now).value();
  for (std::string host : {"example.com", "amazonaws.com.cn", "evilamazonaws.com", "localhost"}) {
    auto leaf = make_leaf(authority, host, now).value();
    EXPECT_EQ(verdict(authority, leaf, host, now), "permitted subtree violation") << host;
  }
  auto address = make_leaf(authority, "amazonaws.com,IP:10.0.0.1", now).value();
  EXPECT_EQ(verdict(authority, address, "10.0.0.1", now), "excluded subtree violation");
}

TEST_F(AuthorityTest, it_is_kept_in_a_file_that_others_cannot_read) {
  std::string first = open();
  EXPECT_EQ(open(), first);
  struct stat info {};
  ASSERT_EQ(::stat((folder_ / "authority.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(AuthorityTest, a_broken_or_old_one_is_replaced) {
  std::string first = open();
  ASSERT_TRUE(write_file_atomically(folder_ / "authority.pem", "nonsense", 0600));
  std::string second = open();
  EXPECT_NE(second, first);
  // The key of one, the certificate of another.
  std::string pem = read_file(folder_ / "authority.pem").value();
  std::string mixed = pem.substr(0, pem.find("-----BEGIN CERT")) + first;
  ASSERT_TRUE(write_file_atomically(folder_ / "authority.pem", mixed, 0600));
  std::string third = open();
  EXPECT_NE(third, first);
  clock_.advance(std::chrono::days(3600));
  EXPECT_EQ(open(), third);
  clock_.advance(std::chrono::days(25));
  EXPECT_NE(open(), third);
}

TEST_F(AuthorityTest, many_that_come_at_once_get_the_same_one) {
  std::vector<std::string> found(8);
  {
    std::vector<std::jthread> openers;
    for (std::string& one : found) openers.emplace_back([&] { one = open(); });
  }
  for (const std::string& one : found) EXPECT_EQ(one, found[0]);
}

TEST_F(AuthorityTest, a_context_is_made_once_per_host_and_again_before_it_ends) {
  auto authority = Authority::open(folder_, clock_).value();
  auto first = authority->context_for("sts.amazonaws.com").value();
  EXPECT_EQ(authority->context_for("sts.amazonaws.com").value(), first);
  EXPECT_NE(authority->context_for("iam.amazonaws.com").value(), first);
  clock_.advance(std::chrono::days(16));
  EXPECT_NE(authority->context_for("sts.amazonaws.com").value(), first);
}

}  // namespace trainyard::proxy
