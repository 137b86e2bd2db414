// One HTTP GET at a time over libcurl: redirects, the headers of the hub, ranges, stalls. libcurl because it
// is what Debian ships for it (TLS, proxies, connection reuse, low-speed limits); Boost.Beast, which the
// server uses, would leave TLS set-up, proxies, redirects and timeouts to us.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace hadal::format {

struct HttpOptions {
  std::string token;      // "Authorization: Bearer", sent to token_url's scheme, host and port only
  std::string token_url;  // any URL there
  double connect_seconds = 20;
  double stall_seconds = 30;      // so long under 1 KB/s: given up
  std::function<bool()> stopped;  // asked at least once a second; true ends a running request
};

// What the answer says before its body. `linked_*` and `commit` may come from a redirect on the way: the hub
// describes a file there, and a storage host that knows other names for it sends the bytes.
struct HttpHead {
  int status = 0;
  int64_t content_length = -1;  // of this body; -1: not said
  int64_t range_begin = -1;     // Content-Range "bytes begin-end/total"; -1: none
  int64_t range_total = -1;
  int64_t linked_size = -1;
  std::string etag;  // without quotes and W/
  std::string linked_etag;
  std::string commit;
  std::string link;           // the Link header
  std::string error_code;     // X-Error-Code: "GatedRepo", "RepoNotFound", ...
  std::string error_message;  // X-Error-Message, printable
  double retry_after = 0;     // seconds; 0: not said
  bool elsewhere = false;     // a redirect led away from the first URL's host

  // The name of the content: the hub's own when it gave one, else the answering host's.
  const std::string& content_etag() const { return linked_etag.empty() ? etag : linked_etag; }
};

struct HttpOutcome {
  enum class Kind {
    kComplete,  // the whole answer was received; its status may still be an error's
    kRefused,   // a callback returned false
    kStopped,   // options.stopped() said so
    kFailed,    // the network: `reason` says what
  };
  Kind kind = Kind::kFailed;
  HttpHead head;
  std::string reason;
  bool permanent = false;  // trying again cannot help: a bad URL, a certificate that is not trusted
};

class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // on_head is called once for an answer with status 200 or 206, before any body; on_body for each piece of
  // it. Either ends the request by returning false. Bodies of other answers are dropped. At most 10
  // redirects; none from https to http. offset > 0 asks for "Range: bytes=offset-".
  HttpOutcome get(const std::string& url, int64_t offset, const std::function<bool(const HttpHead&)>& on_head,
                  const std::function<bool(std::string_view)>& on_body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "a%2Fb%20c": everything but letters, digits, and -._~
std::string percent_encode(std::string_view text);

}  // namespace hadal::format
