// SPDX-License-Identifier: Apache-2.0
#include "proxy/certificate.hpp"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <vector>

#include "base/random.hpp"
#include "base/text.hpp"

namespace trainyard::proxy {

namespace {

using std::chrono::days;

constexpr days kAuthorityLife{3650};
constexpr days kLeafLife{30};
constexpr days kTolerance{1};  // clocks of containers and hosts differ

Failure fail_openssl(std::string_view doing) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return fail(Code::internal, "{}: {}", doing, text.data());
}

struct Extension {
  int name;
  const char* value;
};

bool add_extensions(X509* certificate, X509* issuer, const std::vector<Extension>& extensions) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const Extension& extension : extensions) {
    std::unique_ptr<X509_EXTENSION, void (*)(X509_EXTENSION*)> made(
        X509V3_EXT_conf_nid(nullptr, &context, extension.name, extension.value),
        X509_EXTENSION_free);
    if (!made || X509_add_ext(certificate, made.get(), -1) != 1) return false;
  }
  return true;
}

bool set_random_serial(X509* certificate) {
  std::string bytes = random_bytes(16);
  bytes[0] = static_cast<char>((bytes[0] & 0x3f) | 0x40);  // positive, and always as long
  std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), 16, nullptr), BN_free);
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_times(X509* certificate, Time now, days life) {
  time_t base = to_epoch_ms(now) / 1000;
  return X509_time_adj_ex(X509_getm_notBefore(certificate), -static_cast<int>(kTolerance.count()),
                          0, &base) != nullptr &&
         X509_time_adj_ex(X509_getm_notAfter(certificate), static_cast<int>(life.count()), 0,
                          &base) != nullptr;
}

bool set_common_name(X509* certificate, const std::string& common_name) {
  auto add = [&](const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
  };
  return add("O", "Trainyard") && add("CN", common_name);
}

// `authority` is null for a certificate that signs itself.
Result<Identity> make(const Identity* authority, const std::string& common_name, Time now,
                      days life, const std::vector<Extension>& extensions) {
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509* certificate = made.certificate.get();
  if (!made.key || certificate == nullptr) return fail_openssl("making a key");
  const Identity& issuer = authority == nullptr ? made : *authority;
  bool is_made =
      X509_set_version(certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
      set_times(certificate, now, life) && set_common_name(certificate, common_name) &&
      X509_set_pubkey(certificate, made.key.get()) == 1 &&
      X509_set_issuer_name(certificate, X509_get_subject_name(issuer.certificate.get())) == 1 &&
      add_extensions(certificate, issuer.certificate.get(), extensions) &&
      X509_sign(certificate, issuer.key.get(), EVP_sha256()) > 0;
  if (!is_made) return fail_openssl("making a certificate for " + common_name);
  return made;
}

using Memory = std::unique_ptr<BIO, int (*)(BIO*)>;

std::string text_of(const Memory& memory) {
  char* bytes = nullptr;
  long size = BIO_get_mem_data(memory.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

}  // namespace

Result<Identity> make_authority(Time now) {
  // A name of its own keeps the authorities of two installations apart in one list of roots.
  return make(nullptr, "Trainyard authority " + random_hex(4), now, kAuthorityLife,
              {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
               {NID_key_usage, "critical,keyCertSign,cRLSign"},
               {NID_ext_key_usage, "serverAuth"},
               {NID_subject_key_identifier, "hash"},
               {NID_authority_key_identifier, "keyid:always"},
               {NID_name_constraints,
                "critical,permitted;DNS:amazonaws.com,excluded;IP:0.0.0.0/0.0.0.0,"
                "excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"}});
}

Result<Identity> make_leaf(const Identity& authority, const std::string& host, Time now) {
  // A common name holds at most 64 characters; clients look at the alternative name.
  std::string alternative = "DNS:" + host;
  return make(&authority, host.size() <= 64 ? host : "amazonaws.com", now, kLeafLife,
              {{NID_basic_constraints, "critical,CA:FALSE"},
               {NID_key_usage, "critical,digitalSignature"},
               {NID_ext_key_usage, "serverAuth"},
               {NID_subject_key_identifier, "hash"},
               {NID_authority_key_identifier, "keyid:always"},
               {NID_subject_alt_name, alternative.c_str()}});
}

std::string certificate_to_pem(const Identity& identity) {
  Memory memory(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(memory.get(), identity.certificate.get());
  return text_of(memory);
}

std::string to_pem(const Identity& identity) {
  Memory memory(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(memory.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(memory) + certificate_to_pem(identity);
}

Result<Identity> identity_of_pem(std::string_view pem) {
  auto open = [&] {
    return Memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  };
  Identity identity;
  // Without a passphrase: nobody may be asked for one.
  char none[] = "";
  identity.key.reset(PEM_read_bio_PrivateKey(open().get(), nullptr, nullptr, none));
  identity.certificate.reset(PEM_read_bio_X509(open().get(), nullptr, nullptr, none));
  bool is_pair = identity.key && identity.certificate &&
                 X509_check_private_key(identity.certificate.get(), identity.key.get()) == 1;
  ERR_clear_error();
  if (!is_pair) return fail(Code::invalid, "no key and certificate that belong together");
  return identity;
}

bool is_valid_at(const Identity& identity, Time time) {
  time_t seconds = to_epoch_ms(time) / 1000;
  return X509_cmp_time(X509_get0_notBefore(identity.certificate.get()), &seconds) < 0 &&
         X509_cmp_time(X509_get0_notAfter(identity.certificate.get()), &seconds) > 0;
}

}  // namespace trainyard::proxy
