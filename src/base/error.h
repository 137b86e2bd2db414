// The one exception type. Thrown where the world is wrong (a file, a flag, a request, memory) and caught at
// the edges: the CLI prints one line and exits, the API answers, the engine fails that one request.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace hadal {

enum class ErrorCode {
  kBadInput,     // a file, flag, recipe or request that is missing or says something wrong: exit status 2
  kIo,           // the operating system refused: full disk, no permission, port in use: exit status 1
  kUnsupported,  // understood, but not something that Hadal does: exit status 2
  kResource,     // not enough memory, queue full: exit status 1
  kCancelled,    // the caller went away or asked to stop
  kInternal,     // a broken invariant of our own
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// throw_error(ErrorCode::kBadInput, "[config] {}: {} is negative", path, key)
template <typename... Args>
[[noreturn]] void throw_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace hadal

// An invariant of our own code. No input may reach it: it prints and aborts.
#define HADAL_CHECK(condition)                                               \
  do {                                                                       \
    if (!(condition)) ::hadal::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
