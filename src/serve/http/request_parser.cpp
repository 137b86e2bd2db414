#include "serve/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <utility>

namespace hadal::serve::http {

namespace e = boost::beast::http;

namespace {

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

RequestParser::RequestParser(size_t max_head_bytes, size_t max_body_bytes)
    : header_bytes_left_(max_head_bytes) {
  header_limit(static_cast<std::uint32_t>(max_head_bytes));
  body_limit(max_body_bytes);
}

size_t RequestParser::feed(std::string_view bytes, boost::system::error_code& ec) {
  ec = {};
  if (!head_seen_) check_lines(bytes, ec);
  if (ec || bytes.empty()) return 0;
  const size_t used = put(boost::asio::buffer(bytes.data(), bytes.size()), ec);
  seen_ -= std::min(seen_, used);
  return used;
}

// Of the first line and the headers, as raw bytes: Beast gives out what it has made of them.
void RequestParser::check_lines(std::string_view bytes, boost::system::error_code& ec) {
  for (; seen_ < bytes.size() && !head_seen_; ++seen_) {
    const char c = bytes[seen_];
    if (c == '\n') {
      if (last_ != '\r') {
        ec = e::error::bad_line_ending;
        return;
      }
      head_seen_ = line_bytes_ == 1 && !first_line_;
      first_line_ = false;
      line_bytes_ = 0;
    } else {
      if (line_bytes_ == 0 && !first_line_ && (c == ' ' || c == '\t')) {
        ec = e::error::bad_obs_fold;
        return;
      }
      ++line_bytes_;
    }
    last_ = c;
  }
}

void RequestParser::on_field_impl(e::field field, boost::beast::string_view name,
                                  boost::beast::string_view value, boost::beast::error_code& ec) {
  const size_t bytes = name.size() + value.size() + 4;  // ": " and the line break
  if (bytes > header_bytes_left_) {
    ec = e::error::header_limit;
    return;
  }
  header_bytes_left_ -= bytes;
  if (is_header_done()) return;  // a trailer
  if (field == e::field::content_length && (!is_number(value) || ++lengths_ > 1)) {
    ec = lengths_ > 1 ? e::error::multiple_content_length : e::error::bad_content_length;
  } else if (field == e::field::transfer_encoding &&
             (++encodings_ > 1 || get().version() < 11 || !boost::beast::iequals(value, "chunked"))) {
    ec = e::error::bad_transfer_encoding;
  } else if (field == e::field::host && ++hosts_ > 1) {
    ec = e::error::bad_field;
  } else {
    get().insert(field, name, value);
  }
}

std::string_view path_of(std::string_view target) {
  target = target.substr(0, target.find('?'));
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    const size_t slash = target.find('/', scheme.size());
    return slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target;
}

Request to_request(RequestParser::value_type&& message) {
  Request request;
  request.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const size_t mark = target.find('?');
  request.path = std::string(path_of(target));
  if (mark != std::string_view::npos) request.query = std::string(target.substr(mark + 1));
  for (const auto& field : message) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  request.body = std::move(message.body());
  return request;
}

}  // namespace hadal::serve::http
