// Encodes a text in chunks of about 8 kB, cut at line ends, on one thread; prints one JSON line. The peer is
// library.mjs, which does the same with Hugging Face's library.
//   bench_tokenizer TOKENIZER.json TEXT
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "text/tokenizer.h"

namespace {

constexpr size_t kChunkBytes = 8192;

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hadal;
  if (argc != 3) return 2;
  try {
    const auto tokenizer = text::Tokenizer::load(argv[1]);
    const std::string content = base::read_file(argv[2]);
    const double wall_start = base::monotonic_seconds();
    const double cpu_start = cpu_seconds();
    size_t tokens = 0;
    for (size_t begin = 0; begin < content.size();) {
      size_t end = begin + kChunkBytes;
      if (end < content.size()) end = content.find('\n', end);
      end = end >= content.size() ? content.size() : end + 1;
      tokens += tokenizer->encode(std::string_view(content).substr(begin, end - begin)).size();
      begin = end;
    }
    std::printf("{\"bytes\": %zu, \"tokens\": %zu, \"cpu_s\": %.6f, \"wall_s\": %.6f}\n", content.size(),
                tokens, cpu_seconds() - cpu_start, base::monotonic_seconds() - wall_start);
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
