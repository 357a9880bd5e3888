// SPDX-License-Identifier: Apache-2.0
#include "proxy/authority.hpp"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/file.h>

#include <cerrno>
#include <map>

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "proxy/certificate.hpp"

namespace trainyard::proxy {

namespace {

using Context = std::shared_ptr<SSL_CTX>;
using std::chrono::days;

constexpr days kReserve{31};      // a leaf must not outlive its authority
constexpr days kContextLife{15};  // of a leaf's thirty
constexpr size_t kMaxContexts = 1000;

// HTTP/1.1 where the client asks for a choice; h2 is not spoken here.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  int result = SSL_select_next_proto(&found, size, kOurs, sizeof kOurs - 1, offered, offered_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

Result<Context> make_context(const Identity& leaf) {
  Context context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_use_certificate(context.get(), leaf.certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), leaf.key.get()) != 1) {
    return fail(Code::internal, "OpenSSL refuses a certificate of ours");
  }
  // Clients that leave without a word are the rule, not an attack: HTTP has lengths.
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  return context;
}

class FileAuthority : public Authority {
 public:
  FileAuthority(Identity identity, const Clock& clock)
      : identity_(std::move(identity)), clock_(clock) {}

  std::string certificate_pem() const override { return certificate_to_pem(identity_); }

  Result<Context> context_for(const std::string& host) override {
    Time now = clock_.now();
    Context kept = contexts_.with([&](std::map<std::string, Entry>& contexts) {
      auto found = contexts.find(host);
      bool is_fresh = found != contexts.end() && now < found->second.made + kContextLife;
      return is_fresh ? found->second.context : nullptr;
    });
    if (kept) return kept;
    Identity leaf = TRY(make_leaf(identity_, host, now));
    Context made = TRY(make_context(leaf));
    contexts_.with([&](std::map<std::string, Entry>& contexts) {
      if (contexts.size() >= kMaxContexts) contexts.clear();
      contexts[host] = Entry{made, now};
    });
    return made;
  }

 private:
  struct Entry {
    Context context;
    Time made;
  };

  const Identity identity_;
  const Clock& clock_;
  Guarded<std::map<std::string, Entry>> contexts_;
};

Result<Identity> load(const fs::path& file, Time now) {
  Identity identity = TRY(identity_of_pem(TRY(read_file(file, 64 << 10))));
  if (is_valid_at(identity, now) && is_valid_at(identity, now + kReserve)) return identity;
  return fail(Code::invalid, "it has expired, or is about to");
}

}  // namespace

Result<std::unique_ptr<Authority>> Authority::open(const fs::path& folder, const Clock& clock) {
  TRY(make_directories(folder, 0700));
  Fd lock = TRY(open_file(folder / "authority.lock", O_RDWR | O_CREAT, 0600));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(errno, "locking " + folder.string());
  }
  fs::path file = folder / "authority.pem";
  auto identity = load(file, clock.now());
  if (!identity) {
    std::error_code error;
    if (fs::exists(file, error)) {
      log::warn("making a new certificate authority",
                {{"file", file.string()}, {"why", identity.error().message}});
    }
    identity = make_authority(clock.now());
    if (!identity) return Failure(std::move(identity).error());
    TRY(write_file_atomically(file, to_pem(*identity), 0600));
  }
  return std::make_unique<FileAuthority>(*std::move(identity), clock);
}

}  // namespace trainyard::proxy
