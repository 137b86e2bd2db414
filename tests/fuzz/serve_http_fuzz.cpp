// The HTTP parser as the server uses it: whatever bytes a client sends, in whatever pieces, no request is
// larger than the limits, and no header has a line break in it.
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "serve/http/request_parser.h"

namespace {

using namespace hadal::serve::http;

constexpr size_t kMaxHead = 512;
constexpr size_t kMaxBody = 1024;

void check(bool condition) {
  if (!condition) std::abort();
}

void check_request(const Request& request) {
  check(request.body.size() <= kMaxBody);
  size_t head = request.method.size() + request.path.size() + request.query.size();
  for (const Header& header : request.headers) {
    check(!header.name.empty() && header.name.find_first_of("\r\n: ") == std::string::npos);
    check(header.value.find_first_of("\r\n") == std::string::npos);
    head += header.name.size() + header.value.size();
  }
  check(head <= 2 * kMaxHead);  // the first line and the headers are bounded each
  // What another reader could take for the request's end is there once, and says what was done.
  const std::string* length = request.header("Content-Length");
  const std::string* encoding = request.header("Transfer-Encoding");
  check(length == nullptr || encoding == nullptr);
  check(length == nullptr || std::strtoull(length->c_str(), nullptr, 10) == request.body.size());
  check(encoding == nullptr || equals_ignoring_case(*encoding, "chunked"));
  check(length != nullptr || encoding != nullptr || request.body.empty());
  for (const char* name : {"Content-Length", "Transfer-Encoding", "Host"}) {
    check(std::count_if(request.headers.begin(), request.headers.end(),
                        [&](const Header& header) { return equals_ignoring_case(header.name, name); }) <= 1);
  }
  check(request.method.find_first_of(" \r\n") == std::string::npos);
  check((request.path + request.query).find_first_of(" \r\n") == std::string::npos);
}

// As many requests as `bytes` has, in pieces of that size, read as session.cpp reads them; ends where the
// session would refuse or close.
void read_all(std::string_view bytes, size_t piece) {
  boost::beast::flat_buffer buffer;
  std::optional<RequestParser> parser;
  while (true) {
    if (!parser) {
      parser.emplace(kMaxHead, kMaxBody);
    }
    boost::system::error_code ec;
    const std::string_view unparsed(static_cast<const char*>(buffer.data().data()), buffer.size());
    const size_t used = unparsed.empty() ? 0 : parser->feed(unparsed, ec);
    check(used <= buffer.size());
    buffer.consume(used);
    if (ec && ec != boost::beast::http::error::need_more) return;
    if (parser->is_done()) {
      check_request(to_request(parser->release()));
      parser.reset();
    } else if (used == 0) {
      if (bytes.empty()) {
        if (parser->got_some()) parser->put_eof(ec);
        return;
      }
      const size_t n = std::min(piece, bytes.size());
      boost::asio::buffer_copy(buffer.prepare(n), boost::asio::buffer(bytes.data(), n));
      buffer.commit(n);
      bytes.remove_prefix(n);
    }
  }
}

}  // namespace

// The first byte says how large the pieces are in which the rest arrives.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) read_all({reinterpret_cast<const char*>(data) + 1, size - 1}, 1 + data[0] % 64);
  return 0;
}
