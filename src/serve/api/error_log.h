// The last errors that clients were answered with, for the console page.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"

namespace hadal::serve::api {

struct LoggedError {
  int64_t at = 0;  // Unix seconds
  std::string request_id;
  std::string key_id, key_name;  // empty: nobody known
  std::string method, path;
  int status = 0;
  std::string code, message;
};

// Any thread.
class ErrorLog {
 public:
  static constexpr size_t kMost = 500;

  // Long texts, which clients may have made up, are cut.
  void add(LoggedError error);
  std::vector<LoggedError> latest(size_t limit) const;  // newest first

 private:
  mutable std::mutex mutex_;
  std::deque<LoggedError> errors_;
};

// What an error's body says, in either dialect, into `error`.
void read_error_body(const std::string& body, LoggedError& error);

base::Json to_json(const LoggedError& error);

}  // namespace hadal::serve::api
