#include "format/hub_hash.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace hadal::format {

struct ContentHash::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::string prefix;
  ~State() { EVP_MD_CTX_free(context); }
};

ContentHash::ContentHash(const std::string& id, int64_t size) : state_(std::make_unique<State>()) {
  const bool is_git = id.starts_with("git:");
  state_->prefix = is_git ? "git:" : "sha256:";
  if (state_->context == nullptr ||
      EVP_DigestInit_ex(state_->context, is_git ? EVP_sha1() : EVP_sha256(), nullptr) != 1) {
    throw_error(ErrorCode::kIo, "[hub] OpenSSL offers no {}", is_git ? "SHA-1" : "SHA-256");
  }
  if (is_git) add(fmt::format("blob {}", size) + '\0');
}

ContentHash::~ContentHash() = default;
ContentHash::ContentHash(ContentHash&&) noexcept = default;
ContentHash& ContentHash::operator=(ContentHash&&) noexcept = default;

void ContentHash::add(std::string_view bytes) {
  HADAL_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

bool ContentHash::add_file(const std::string& path, int64_t bytes, const std::function<bool()>& stopped) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_error(ErrorCode::kIo, "cannot open {}: {}", path, std::strerror(errno));
  std::vector<char> chunk(1 << 20);
  int reason = 0;
  bool whole = true;
  while (bytes > 0 && whole) {
    const size_t wanted = static_cast<size_t>(std::min<int64_t>(bytes, static_cast<int64_t>(chunk.size())));
    const ssize_t got = ::read(fd, chunk.data(), wanted);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) reason = errno;
    whole = got > 0 && !(stopped && stopped());
    if (!whole) break;
    add({chunk.data(), static_cast<size_t>(got)});
    bytes -= got;
  }
  ::close(fd);
  if (reason != 0) throw_error(ErrorCode::kIo, "cannot read {}: {}", path, std::strerror(reason));
  return whole;
}

std::string ContentHash::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HADAL_CHECK(EVP_DigestFinal_ex(state_->context, digest, &size) == 1);
  std::string out = state_->prefix;
  for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace hadal::format
