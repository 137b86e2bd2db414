// HTTP messages as the rest of Hadal sees them: plain values, no transport types.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hadal::serve::http {

struct Header {
  std::string name;
  std::string value;
};

struct Request {
  std::string method;           // as sent: "GET", "POST", ...
  std::string path;             // before '?', not percent-decoded
  std::string query;            // after '?', perhaps empty
  std::vector<Header> headers;  // in the order received
  std::string body;

  // The first header with that name (ASCII case ignored), or nothing.
  const std::string* header(std::string_view name) const;
};

// Told when bytes of an answer leave, so that what a client was sent can be counted to the token. One thread
// at a time; dropped once its bytes have left, or never will.
class Receipt {
 public:
  virtual ~Receipt() = default;
  // They are about to be handed to the system, on the connection `socket`; `bytes` in all with what goes
  // before them in the same write (through TLS it takes some more). An answer's first is told on a transport
  // thread, later ones perhaps on the thread that wrote: these must not wait for anything.
  virtual void leaving(int socket, size_t bytes) = 0;
  // The system has all of them.
  virtual void left() = 0;
  // They never will: the server refuses to send them. Told before leaving(), on a transport thread.
  virtual void refused() {}
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<Header> headers;  // besides Content-Type, Content-Length and Connection
  std::string body;
  std::shared_ptr<Receipt> receipt = nullptr;  // of all of it; may be null
};

// The start of a response whose body comes piece by piece.
struct StreamHead {
  std::string content_type = "text/event-stream; charset=utf-8";
  std::vector<Header> headers;
  // Sent when nothing else was for ServerOptions::stream_idle_seconds; DeepSeek's servers do the same.
  std::string idle_bytes = ": keep-alive\n\n";
};

std::string_view reason_phrase(int status);

// The status line and headers, with the empty line that ends them. `framing` is "Content-Length: 12" or
// "Transfer-Encoding: chunked" or empty (an HTTP/1.0 stream: the end of the connection ends it).
std::string encode_head(int status, std::string_view content_type, const std::vector<Header>& headers,
                        std::string_view framing, bool keep_alive);

// One chunk of a chunked body; `bytes` must not be empty (an empty chunk ends the body).
std::string encode_chunk(std::string_view bytes);

bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace hadal::serve::http
