// A PostgreSQL server of the test's own: Debian's programs, a cluster in a temporary folder, reached by a
// Unix socket there, gone with the object. PostgreSQL refuses to run as root: then it runs as the user
// `postgres`.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace hadal::test {

class PostgresServer {
 public:
  PostgresServer() {
    const std::string bin = HADAL_POSTGRES_BIN;
    if (bin.empty()) {
      ADD_FAILURE() << "PostgreSQL is not installed: setup/install.sh test brings it";
      return;
    }
    // A short path: Unix sockets have at most 107 bytes.
    folder_ = fmt::format("/tmp/hadal-pg-{}", ::getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    if (::getuid() == 0) {
      const passwd* user = ::getpwnam("postgres");
      if (user == nullptr || ::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) {
        ADD_FAILURE() << "there is no user postgres to run the server as";
        return;
      }
      as_ = fmt::format("setpriv --reuid={} --regid={} --clear-groups ", user->pw_uid, user->pw_gid);
    }
    bin_ = bin;
    run(fmt::format("{}/initdb -D {}/data -U hadal --auth=trust --no-sync --no-instructions", bin, folder_));
    start();
  }

  ~PostgresServer() {
    if (!bin_.empty()) stop();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    run(
        fmt::format("{0}/pg_ctl -D {1}/data -w -l {1}/log -o \"-k {1} -c listen_addresses='' -c fsync=off "
                    "-c shared_buffers=16MB\" start",
                    bin_, folder_));
  }
  void stop() { run(fmt::format("{}/pg_ctl -D {}/data -w -m immediate stop", bin_, folder_)); }

  std::string url(const std::string& database = "postgres") const {
    return fmt::format("postgresql://hadal@/{}?host={}", database, folder_);
  }

 private:
  void run(const std::string& command) {
    const std::string all = fmt::format("cd / && {}{} >> {}/output 2>&1", as_, command, folder_);
    EXPECT_EQ(std::system(all.c_str()), 0) << command << " (see " << folder_ << "/output)";
  }

  std::string folder_, bin_, as_;
};

}  // namespace hadal::test
