// How many connections each client address has, and what their bodies hold. Internal to serve/http.
#pragma once

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hadal::serve::http {

// Not synchronised.
class AddressLimit {
 public:
  // What is counted as one: an IPv4 address, or the /64 that an IPv6 client usually has to itself.
  using Key = std::pair<int, uint64_t>;
  // Bytes of bodies that all connections of an address hold; any thread.
  using HeldBytes = std::shared_ptr<std::atomic<size_t>>;

  // `exempt` are addresses that are not counted. Throws Error{kBadInput} for what is no address.
  AddressLimit(size_t most, const std::vector<std::string>& exempt);

  static Key key_of(const boost::asio::ip::address& address);

  // Counts one more connection, and how many there are then; 0 of an exempt address.
  size_t add(const Key& key);
  void remove(const Key& key);
  // Of an address that was added; null of an exempt one.
  HeldBytes held_bytes(const Key& key) const;
  bool is_over(size_t count) const { return most_ > 0 && count > most_; }

 private:
  struct Entry {
    size_t connections = 0;
    HeldBytes held_bytes = std::make_shared<std::atomic<size_t>>(0);
  };

  bool is_exempt(const Key& key) const;
  void forget(const Key& key);

  const size_t most_;
  std::vector<Key> exempt_;
  std::map<Key, Entry> entries_;
  std::vector<Key> leaving_;  // without connections, but handlers had bodies of theirs
};

}  // namespace hadal::serve::http
