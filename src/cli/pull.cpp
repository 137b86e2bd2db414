// hadal pull: a model of the Hugging Face hub into a folder, resumable and verified.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "format/hub_download.h"
#include "train/progress.h"

namespace hadal::cli {
namespace {

struct PullFlags {
  std::string repository;
  std::string revision = "main";
  std::string out;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  int parallel = 4;
  int retries = 5;
  double stall_seconds = 30;
  bool dry_run = false;
  bool json = false;
};

// One line on stderr: rewritten on a terminal, now and then a plain line elsewhere.
class PullLine {
 public:
  PullLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~PullLine() { clear(); }
  PullLine(const PullLine&) = delete;
  PullLine& operator=(const PullLine&) = delete;

  void update(const format::PullProgress& progress) {
    const double now = base::monotonic_seconds();
    if (started_ == 0) started_ = drawn_ = now;
    samples_.push_back({now, progress.bytes_fetched});
    while (samples_.size() > 2 && now - samples_.front().seconds > kWindowSeconds) samples_.pop_front();
    if (!terminal_ && now - drawn_ < kPlainSeconds) return;
    drawn_ = now;
    std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", text(progress, now).c_str());
    std::fflush(stderr);
    open_ = terminal_;
  }

  void notice(const std::string& line) {
    clear();
    std::fprintf(stderr, "%s\n", line.c_str());
  }

  void clear() {
    if (open_) std::fprintf(stderr, "\r\033[K");
    open_ = false;
  }

 private:
  static constexpr double kWindowSeconds = 10;
  static constexpr double kPlainSeconds = 10;

  struct Sample {
    double seconds;
    int64_t bytes;
  };

  std::string text(const format::PullProgress& p, double now) const {
    const double window = now - samples_.front().seconds;
    const double speed =
        window > 0 ? static_cast<double>(p.bytes_fetched - samples_.front().bytes) / window : 0;
    const double share = p.bytes > 0 ? static_cast<double>(p.bytes_done) / static_cast<double>(p.bytes) : 1;
    std::string line =
        fmt::format("{}/{} files  {} of {} ({:.0f} %)", p.files_done, p.files,
                    format::bytes_text(p.bytes_done), format::bytes_text(p.bytes), std::floor(100 * share));
    line += fmt::format("  {}/s", format::bytes_text(static_cast<int64_t>(speed)));
    if (speed > 0)
      line += "  ETA " + train::format_duration(static_cast<double>(p.bytes - p.bytes_done) / speed);
    return line;
  }

  bool terminal_;
  bool open_ = false;
  double started_ = 0;
  double drawn_ = 0;
  std::deque<Sample> samples_;
};

base::Json file_rows(const std::vector<format::HubFile>& files) {
  base::Json rows = base::Json::array();
  for (const auto& file : files) {
    rows.push_back({{"path", file.path}, {"bytes", file.size}, {"id", file.content_id()}});
  }
  return rows;
}

void print_plan(const std::vector<format::HubFile>& files) {
  int64_t total = 0;
  for (const auto& file : files) {
    fmt::print("{:>10}  {}\n", format::bytes_text(file.size), file.path);
    total += std::max<int64_t>(0, file.size);
  }
  fmt::print("{:>10}  in {} files\n", format::bytes_text(total), files.size());
}

void run_pull(const PullFlags& flags) {
  const InterruptGuard interrupt;
  format::check_repository_name(flags.repository);
  PullLine line;
  format::HubOptions options = format::HubOptions::from_environment();
  options.retries = flags.retries;
  options.stall_seconds = flags.stall_seconds;
  options.stopped = [] { return InterruptGuard::interrupted(); };
  options.notice = [&](const std::string& text) { line.notice(text); };

  const format::HubListing listing = format::list_repository(options, flags.repository, flags.revision);
  const auto files = format::select_files(listing.files, flags.include, flags.exclude, flags.repository);
  const std::string folder =
      flags.out.empty() ? flags.repository.substr(flags.repository.rfind('/') + 1) : flags.out;
  base::Json json = {{"repository", listing.repository},
                     {"commit", listing.commit},
                     {"folder", folder},
                     {"files", file_rows(files)}};
  if (flags.dry_run) {
    if (flags.json)
      fmt::print("{}\n", base::dump_json(json, 2));
    else
      print_plan(files);
    return;
  }
  const double started = base::monotonic_seconds();
  format::PullOptions pull;
  pull.parallel = flags.parallel;
  pull.progress = [&](const format::PullProgress& progress) { line.update(progress); };
  const format::PullResult result = format::pull_files(options, listing, files, folder, pull);
  const double seconds = base::monotonic_seconds() - started;
  line.clear();
  if (flags.json) {
    json["files_fetched"] = result.files_fetched;
    json["files_kept"] = result.files_kept;
    json["bytes"] = result.bytes;
    json["bytes_fetched"] = result.bytes_fetched;
    json["seconds"] = seconds;
    fmt::print("{}\n", base::dump_json(json, 2));
  } else if (result.files_fetched == 0) {
    fmt::print("{}: all {} files are there ({}), nothing to fetch\n", folder, result.files_kept,
               format::bytes_text(result.bytes));
  } else {
    fmt::print("{}: {} files, {} fetched in {} and verified\n", folder, files.size(),
               format::bytes_text(result.bytes_fetched), train::format_duration(seconds));
  }
}

}  // namespace

void add_pull(CLI::App& app) {
  CLI::App* command =
      add_command(app, "pull", "Fetch a model from the Hugging Face hub; continues where it was cut off",
                  "  hadal pull deepseek-ai/DeepSeek-V2-Lite-Chat --out /models/v2-lite\n"
                  "  hadal pull deepseek-ai/DeepSeek-V3.1 --revision main --dry-run\n"
                  "  hadal pull OWNER/SOME-GGUF --include '*Q4_K_M*'\n"
                  "Without --include: config, tokenizer, safetensors (or GGUF where there are none), README "
                  "and licence.\n"
                  "HF_ENDPOINT names another hub; HF_TOKEN (or the token file of the hub's tools) opens "
                  "private and gated\n"
                  "models. A complete file is verified by its SHA-256 before it gets its name; partial ones "
                  "end in .part.\n");
  const auto flags = std::make_shared<PullFlags>();
  command->add_option("repository", flags->repository, "OWNER/NAME")->required();
  command->add_option("--revision", flags->revision, "branch, tag or commit")->capture_default_str();
  command->add_option("--out", flags->out, "the folder to fill (default: NAME, here)");
  command->add_option("--include", flags->include, "only files that match; repeatable, * also matches /")
      ->allow_extra_args(false);
  command->add_option("--exclude", flags->exclude, "no files that match; repeatable")
      ->allow_extra_args(false);
  command->add_option("--parallel", flags->parallel, "files at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--retries", flags->retries, "attempts in a row without progress, after the first")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command->add_option("--stall-seconds", flags->stall_seconds, "without bytes for so long: connect again")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run, "list what would be fetched");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { run_pull(*flags); });
}

}  // namespace hadal::cli
