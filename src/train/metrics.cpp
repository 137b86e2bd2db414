#include "train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace hadal::train {
namespace {

[[noreturn]] void io_error(const char* what, const std::string& path) {
  throw_error(ErrorCode::kIo, "[train] cannot {} {}: {}", what, path, std::strerror(errno));
}

// Calls fn(line, json) for each complete line that is an object with a step.
template <typename Fn>
void for_each_line(const std::string& text, Fn&& fn) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;
    const std::string_view line(text.data() + begin, end - begin);
    const base::Json json = base::Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("step") && json["step"].is_number_integer()) fn(line, json);
    begin = end + 1;
  }
}

}  // namespace

MetricsLog::MetricsLog(const std::string& path, int64_t step) : path_(path) {
  std::string kept;
  if (base::file_exists(path)) {
    const std::string text = base::read_file(path);
    int64_t last = -1;
    for_each_line(text, [&](std::string_view line, const base::Json& json) {
      const auto at = json["step"].get<int64_t>();
      if (at > step || at <= last) {
        dropped_ += at > step ? 1 : 0;
        return;
      }
      last = at;
      kept.append(line).push_back('\n');
    });
    if (kept != text) base::write_file_atomic(path, kept);
  }
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) io_error("open", path);
}

MetricsLog::~MetricsLog() {
  if (fd_ >= 0) ::close(fd_);
}

void MetricsLog::append(const base::Json& line) {
  const std::string text = base::dump_json(line) + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t put = ::write(fd_, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) io_error("write", path_);
    done += static_cast<size_t>(put);
  }
}

void MetricsLog::sync() {
  if (::fdatasync(fd_) != 0) io_error("sync", path_);
}

std::vector<base::Json> read_metrics(const std::string& path) {
  std::vector<base::Json> lines;
  const std::string text = base::read_file(path);
  for_each_line(text, [&](std::string_view, const base::Json& json) { lines.push_back(json); });
  return lines;
}

}  // namespace hadal::train
