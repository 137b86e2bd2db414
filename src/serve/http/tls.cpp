#include "serve/http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>

#include "base/error.h"

namespace hadal::serve::http {

namespace ssl = boost::asio::ssl;

namespace {

// TLS 1.2's suites with forward secrecy and authenticated encryption; those of 1.3 all have both.
constexpr const char* kTls12Suites = "ECDHE+AESGCM:ECDHE+CHACHA20";

// RFC 7301: a length, and a name. Clients that offer other protocols only are refused with an alert.
constexpr unsigned char kProtocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_bytes, const unsigned char* offered,
                    unsigned int offered_bytes, void*) {
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, out_bytes, kProtocols, sizeof kProtocols, offered, offered_bytes);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::shared_ptr<ssl::context> load(const std::string& certificate, const std::string& key) {
  const auto check = [](const boost::system::error_code& ec, const char* what, const std::string& file) {
    if (ec) throw_error(ErrorCode::kBadInput, "[tls] {} {}: {}", what, file, ec.message());
  };
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_cipher_list(raw, kTls12Suites);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);          // of idle connections
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);  // clients resume with tickets
  SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
  // A key with a passphrase: an error, not a question on the terminal.
  context->set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); });
  boost::system::error_code ec;
  context->use_certificate_chain_file(certificate, ec);
  check(ec, "certificate", certificate);
  context->use_private_key_file(key, ssl::context::pem, ec);
  check(ec, "key", key);
  if (SSL_CTX_check_private_key(raw) != 1) {
    ERR_clear_error();
    throw_error(ErrorCode::kBadInput, "[tls] key {}: it is not the key of the certificate {}", key,
                certificate);
  }
  return context;
}

}  // namespace

TlsCertificate::TlsCertificate(std::string certificate_file, std::string key_file)
    : certificate_file_(std::move(certificate_file)),
      key_file_(std::move(key_file)),
      context_(load(certificate_file_, key_file_)) {}

void TlsCertificate::reload() {
  auto loaded = load(certificate_file_, key_file_);
  const std::lock_guard lock(mutex_);
  context_.swap(loaded);
}

std::shared_ptr<ssl::context> TlsCertificate::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

}  // namespace hadal::serve::http
