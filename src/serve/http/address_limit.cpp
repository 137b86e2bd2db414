#include "serve/http/address_limit.h"

#include <algorithm>

#include "base/error.h"

namespace hadal::serve::http {

namespace ip = boost::asio::ip;

AddressLimit::AddressLimit(size_t most, const std::vector<std::string>& exempt) : most_(most) {
  for (const std::string& text : exempt) {
    boost::system::error_code ec;
    const ip::address address = ip::make_address(text, ec);
    if (ec) throw_error(ErrorCode::kBadInput, "[serve] \"{}\" is not an IP address", text);
    exempt_.push_back(key_of(address));
  }
}

AddressLimit::Key AddressLimit::key_of(const ip::address& address) {
  if (address.is_v4()) return {4, address.to_v4().to_uint()};
  const ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return {4, ip::make_address_v4(ip::v4_mapped, v6).to_uint()};
  uint64_t prefix = 0;
  const auto bytes = v6.to_bytes();
  for (size_t i = 0; i < 8; ++i) prefix = prefix << 8 | bytes[i];
  return {6, prefix};
}

size_t AddressLimit::add(const Key& key) {
  for (const Key& gone : std::exchange(leaving_, {})) forget(gone);
  return is_exempt(key) ? 0 : ++entries_[key].connections;
}

void AddressLimit::remove(const Key& key) {
  const auto found = entries_.find(key);
  if (found != entries_.end() && --found->second.connections == 0) forget(key);
}

// Who sends bodies and leaves does not start afresh while they are here.
void AddressLimit::forget(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.connections > 0) return;
  if (*found->second.held_bytes == 0)
    entries_.erase(found);
  else
    leaving_.push_back(key);
}

AddressLimit::HeldBytes AddressLimit::held_bytes(const Key& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : found->second.held_bytes;
}

bool AddressLimit::is_exempt(const Key& key) const {
  return std::find(exempt_.begin(), exempt_.end(), key) != exempt_.end();
}

}  // namespace hadal::serve::http
