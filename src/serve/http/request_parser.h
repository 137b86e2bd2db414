// Bytes of a connection to Requests: Beast's parser with our bounds, and strict where two readers of the same
// bytes could disagree about where a request ends (request smuggling). Internal to serve/http.
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <string_view>

#include "serve/http/message.h"

namespace hadal::serve::http {

// What is beyond the bounds is an error before it is kept: body_limit, or header_limit for the first line and
// for the headers (each at most max_head_bytes). Beast's own bound is on what it looks at in one go, so a
// client that sends one header at a time would pass it, and one that sends trailers behind a chunked body
// too. Trailers are dropped: they must not pass for headers.
//
// Refused besides what Beast refuses (RFC 9112 2.2, 5.2, 6.1, 6.3; RFC 9110 7.2): lines that end in a bare
// LF, continued lines, Transfer-Encoding that is not "chunked", given twice or in HTTP/1.0, Content-Length
// that is not one number in digits, two Host headers.
class RequestParser : public boost::beast::http::request_parser<boost::beast::http::string_body> {
 public:
  RequestParser(size_t max_head_bytes, size_t max_body_bytes);

  // Parses from the beginning of `bytes`, what was received and is not parsed yet; the number of those that
  // it is done with. The rest is to be given again, with more behind it, when `ec` is need_more or nothing
  // was taken. Stops behind the headers once.
  size_t feed(std::string_view bytes, boost::system::error_code& ec);

  bool has_host() const { return hosts_ > 0; }

 private:
  void on_field_impl(boost::beast::http::field field, boost::beast::string_view name,
                     boost::beast::string_view value, boost::beast::error_code& ec) override;
  void check_lines(std::string_view bytes, boost::system::error_code& ec);

  size_t header_bytes_left_;
  int lengths_ = 0, encodings_ = 0, hosts_ = 0;  // headers seen

  // check_lines: how much of the unparsed bytes it has seen, and its state there.
  size_t seen_ = 0;
  char last_ = 0;
  size_t line_bytes_ = 0;
  bool first_line_ = true;
  bool head_seen_ = false;  // up to the empty line
};

// A target's path: before '?', and of "http://host/path" (RFC 9112 3.2.2) what follows the host.
std::string_view path_of(std::string_view target);

// Of a parser that is done; takes the body out of `message`.
Request to_request(RequestParser::value_type&& message);

}  // namespace hadal::serve::http
