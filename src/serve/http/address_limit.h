// How many connections each client address has. Internal to serve/http.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace hadal::serve::http {

// Not synchronised.
class AddressLimit {
 public:
  // What is counted as one: an IPv4 address, or the /64 that an IPv6 client usually has to itself.
  using Key = std::pair<int, uint64_t>;

  // `exempt` are addresses that are not counted. Throws Error{kBadInput} for what is no address.
  AddressLimit(size_t most, const std::vector<std::string>& exempt);

  static Key key_of(const boost::asio::ip::address& address);

  // Counts one more connection, and how many there are then; 0 of an exempt address.
  size_t add(const Key& key);
  void remove(const Key& key);
  bool is_over(size_t count) const { return most_ > 0 && count > most_; }

 private:
  bool is_exempt(const Key& key) const;

  const size_t most_;
  std::vector<Key> exempt_;
  std::map<Key, size_t> counts_;
};

}  // namespace hadal::serve::http
