// The server's certificate: loaded at the start, and again when its owner renews it. Internal to serve/http.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <mutex>
#include <string>

namespace hadal::serve::http {

// TLS 1.2 and 1.3 with forward secrecy, HTTP/1.1 by ALPN, no client certificates. Any thread.
class TlsCertificate {
 public:
  // PEM files: the certificate with the chain behind it, and its key without a passphrase. Throws
  // Error{kBadInput} naming the file and what is wrong with it.
  TlsCertificate(std::string certificate_file, std::string key_file);

  // Reads both files again. Throws as the constructor does; connections then get the old certificate still.
  void reload();

  // For new connections. Those that began with an older one keep it.
  std::shared_ptr<boost::asio::ssl::context> current() const;

 private:
  const std::string certificate_file_, key_file_;
  mutable std::mutex mutex_;  // guards context_
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace hadal::serve::http
