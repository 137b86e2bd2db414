// One request and its answer, as a handler sees them. The transport makes Exchanges; tests may too.
#pragma once

#include <functional>
#include <string>

#include "serve/http/message.h"

namespace hadal::serve::http {

// Any thread may call any member; none blocks. A handler answers with one respond(), or with begin_stream(),
// any number of write() and one end_stream(). Dropping the last reference to an unanswered Exchange answers
// 500; dropping one in mid-stream cuts the connection, so that the client can tell. Calls after the end do
// nothing.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual void respond(Response response) = 0;

  // Before respond(), of an answer that takes its time: where nothing was answered for
  // ServerOptions::stream_idle_seconds, status 200 and `head` are sent, with its idle_bytes now and whenever
  // as much time has passed; respond() then adds its body, whatever its own head says.
  virtual void hold(StreamHead head) = 0;

  virtual void begin_stream(StreamHead head) = 0;
  // False when nobody will read it: the client has gone, or has fallen ServerOptions::max_unsent_bytes
  // behind, which counts as gone. Pieces written while an earlier one is on its way leave together, up to the
  // first that wants a receipt.
  virtual bool write(std::string bytes, std::shared_ptr<Receipt> receipt = nullptr) = 0;
  virtual void end_stream() = 0;

  // Called once, on a transport thread, when the client leaves before its answer is complete; at once when it
  // has left already. Dropped when the answer is complete.
  virtual void on_hang_up(std::function<void()> callback) = 0;
};

}  // namespace hadal::serve::http
