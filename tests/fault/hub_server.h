// The Node hub of hub_server.mjs as a child process, with a folder for its files and for what is pulled.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "support/temporary_folder.h"

extern char** environ;

namespace hadal::test {

class HubServer {
 public:
  HubServer() { std::filesystem::create_directories(folder_ / "root"); }
  ~HubServer() { stop(); }
  HubServer(const HubServer&) = delete;
  HubServer& operator=(const HubServer&) = delete;

  std::string operator/(const std::string& name) const { return folder_ / name; }

  // A file of the repository, `bytes` long, the same for the same seed.
  void add(const std::string& path, size_t bytes, uint64_t seed = 1) const {
    base::Random random(seed + bytes);
    std::string content(bytes, '\0');
    for (char& c : content) c = static_cast<char>(random.next());
    const std::string file = folder_ / ("root/" + path);
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    base::write_file_atomic(file, content);
  }
  std::string original(const std::string& path) const { return base::read_file(folder_ / ("root/" + path)); }

  // (Again) with this scenario; see hub_server.mjs.
  void start(base::Json scenario = base::Json::object()) {
    stop();
    scenario["root"] = folder_ / "root";
    scenario["log"] = folder_ / "log";
    base::write_file_atomic(folder_ / "log", "");
    base::write_file_atomic(folder_ / "scenario.json", scenario.dump());
    int in[2];
    int out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::string program = "node";
    std::string script = HADAL_SOURCE_DIR "/tests/fault/hub_server.mjs";
    std::string argument = folder_ / "scenario.json";
    char* argv[] = {program.data(), script.data(), argument.data(), nullptr};
    const int error = ::posix_spawnp(&pid_, "node", &actions, nullptr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    stdin_ = in[1];
    if (error != 0) throw std::runtime_error("cannot run node");
    std::string line;
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    const base::Json urls = base::parse_json(line, "hub_server.mjs");
    url_ = urls.at("hub").get<std::string>();
    storage_url_ = urls.at("storage").get<std::string>();
  }

  void stop() {
    if (pid_ <= 0) return;
    ::close(stdin_);  // the server ends with it, also when this process is killed
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  const std::string& url() const { return url_; }
  const std::string& storage_url() const { return storage_url_; }

  // What was asked, in order, where the URL holds `part`.
  std::vector<base::Json> requests(const std::string& part = "") const {
    std::vector<base::Json> all;
    std::istringstream lines(base::read_file(folder_ / "log"));
    for (std::string line; std::getline(lines, line);) {
      base::Json json = base::parse_json(line, "log");
      if (json.at("url").get<std::string>().find(part) != std::string::npos) all.push_back(std::move(json));
    }
    return all;
  }

 private:
  TemporaryFolder folder_;
  std::string url_, storage_url_;
  pid_t pid_ = -1;
  int stdin_ = -1;
};

}  // namespace hadal::test
