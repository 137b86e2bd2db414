// The real bwrap, with programs that mean ill. Run as root these tests go through the step down to nobody;
// SandboxAsNobody runs the whole program as a normal user.
#include "eval/verify/sandbox.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "eval/verify/program_tests.h"
#include "support/namespaces.h"
#include "support/temporary_folder.h"

namespace hadal::eval {
namespace {

constexpr SandboxLimits kLimits = {
    .seconds = 1.5, .memory_bytes = 96ll << 20, .processes = 8, .file_bytes = 1 << 20};

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    HADAL_NEEDS_NAMESPACES();
    sandbox_.emplace(kLimits);
  }
  SandboxResult python(std::string_view program, std::string_view input = "") {
    return sandbox_->run("python", program, input);
  }
  SandboxResult sh(std::string_view program) { return sandbox_->run("sh", program); }
  std::optional<Sandbox> sandbox_;
};

TEST_F(SandboxTest, RunsAProgramAndTellsWhatItSaid) {
  const auto result = python("import sys\nprint(sum(map(int, sys.stdin.read().split())))\n", "12 34\n");
  EXPECT_EQ(result.end, SandboxEnd::kExited);
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.output, "46\n");
  EXPECT_EQ(result.errors, "");
  const auto shell = sh("echo out; echo err >&2; exit 3");
  EXPECT_EQ(shell.status, 3);
  EXPECT_EQ(shell.output, "out\n");
  EXPECT_EQ(shell.errors, "err\n");
  EXPECT_EQ(python("raise SystemExit(5)").status, 5);
  EXPECT_NE(python("1/0").errors.find("ZeroDivisionError"), std::string::npos);
  EXPECT_EQ(sh("kill -9 $$").status, 128 + 9);
  EXPECT_THROW(sandbox_->run("perl", "print 1"), Error);
}

TEST_F(SandboxTest, TheSameProgramSaysTheSame) {
  const char* program = "print(sorted({'a','b','c'}), hash('x'))";
  EXPECT_EQ(python(program).output, python(program).output);
}

TEST_F(SandboxTest, WhatNeverEndsIsEnded) {
  for (const char* program :
       {"while True: pass", "import time\ntime.sleep(100)",
        "import signal\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except "
        "Exception: pass\nwhile True: pass"}) {
    const auto result = python(program);
    EXPECT_EQ(result.end, SandboxEnd::kTime) << result.status << result.errors;
    EXPECT_LT(result.seconds, kLimits.seconds + 3);
  }
}

TEST_F(SandboxTest, AForkBombIsContained) {
  const auto shell = sh("b() { b | b & }; b; sleep 20");
  EXPECT_NE(shell.end == SandboxEnd::kExited && shell.status == 0, true);
  EXPECT_LT(shell.seconds, kLimits.seconds + 3);
  const auto result = python(
      "import os, time\nn = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(30)\n    n += "
      "1\nexcept "
      "BlockingIOError: print(n)\n");
  // The kernel refuses one more; it is not that all are killed.
  EXPECT_EQ(result.end, SandboxEnd::kExited) << result.errors;
  EXPECT_GE(std::atoi(result.output.c_str()), 2) << result.errors;
  EXPECT_LE(std::atoi(result.output.c_str()), kLimits.processes);
  EXPECT_LT(result.seconds, kLimits.seconds + 3);
  EXPECT_LT(result.peak_memory_bytes, 4 * kLimits.memory_bytes);
}

// Nothing of it is left when run() returns: each child holds a file open that the test would see.
TEST_F(SandboxTest, NothingIsLeftBehind) {
  const double began = base::monotonic_seconds();
  const auto result = sh("(sleep 98765 & sleep 98765 & setsid sleep 98765 &); echo done");
  EXPECT_EQ(result.output, "done\n");
  EXPECT_LT(base::monotonic_seconds() - began, 3);
  std::string found;
  if (FILE* pipe = ::popen("pgrep -f 'sleep 9876[5]'", "r")) {
    char buffer[256];
    while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) found += buffer;
    ::pclose(pipe);
  }
  EXPECT_EQ(found, "");
}

TEST_F(SandboxTest, AMemoryHogIsContained) {
  const auto hog = python("x = []\nwhile True: x.append(bytearray(1 << 20))");
  EXPECT_TRUE(hog.end != SandboxEnd::kExited || hog.status != 0);
  EXPECT_LT(hog.peak_memory_bytes, 3 * kLimits.memory_bytes);
  // Many processes, each within its own limit.
  const auto herd = python(
      "import os, time\nfor i in range(6):\n  if os.fork() == 0:\n    x = bytearray(os.urandom(1 << 20)) * "
      "40\n    "
      "time.sleep(30)\ntime.sleep(30)");
  EXPECT_EQ(herd.end, SandboxEnd::kMemory) << herd.status << herd.errors;
  EXPECT_LT(herd.seconds, kLimits.seconds + 3);
  // Memory that shows in no process.
  const auto hidden = python("import os\nfd = os.memfd_create('x')\nprint('made')");
  EXPECT_NE(hidden.output, "made\n");
  EXPECT_NE(hidden.errors.find("Operation not permitted"), std::string::npos) << hidden.errors;
  for (const char* shared :
       {"mmap.mmap(-1, 4096)", "f = open('/dev/zero', 'r+b'); mmap.mmap(f.fileno(), 4096)"}) {
    const auto mapped = python(std::string("import mmap\n") + shared + "\nprint('mapped')");
    EXPECT_EQ(mapped.output, "") << shared;
    EXPECT_NE(mapped.errors.find("Operation not permitted"), std::string::npos) << mapped.errors;
  }
  const auto litter = python("n = 0\nwhile True:\n  open(f'/tmp/{n}', 'w').close()\n  n += 1");
  EXPECT_EQ(litter.end, SandboxEnd::kMemory) << litter.errors;
  EXPECT_LT(litter.seconds, kLimits.seconds);
}

TEST_F(SandboxTest, WritesNowhereButToItsOwnTmp) {
  const test::TemporaryFolder outside;
  const auto result =
      sh("for d in / /usr /usr/bin /dev /dev/shm /proc /proc/sys/kernel /etc /home /root /var " +
         outside.path() +
         "; do (echo x > $d/hadal-was-here) 2>/dev/null && echo wrote $d; done; echo y > "
         "/tmp/mine && cat /tmp/mine; echo z > /program");
  EXPECT_EQ(result.output, "y\n") << result.output;
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
  for (const char* path : {"/hadal-was-here", "/usr/hadal-was-here", "/tmp/mine", "/dev/shm/hadal-was-here"})
    EXPECT_FALSE(std::filesystem::exists(path)) << path;
  // /tmp is small, and large files are cut.
  const auto full =
      sh("dd if=/dev/zero of=/tmp/big bs=65536 count=4096 2>/dev/null; for i in 1 2 3 4 5 6 7 8; do head -c "
         "500000 /dev/zero > /tmp/f$i 2>/dev/null; done; du -sk /tmp | cut -f1");
  EXPECT_LE(std::atoi(full.output.c_str()), 1100) << full.output << full.errors;
}

TEST_F(SandboxTest, SeesNothingOfTheMachineButUsr) {
  EXPECT_EQ(sh("ls /").output, "bin\ndev\nlib\nlib64\nproc\nprogram\ntmp\nusr\n");
  ::setenv("HADAL_TEST_SECRET", "42", 1);
  const auto environment = sh("env");
  ::unsetenv("HADAL_TEST_SECRET");
  EXPECT_EQ(environment.output.find("SECRET"), std::string::npos) << environment.output;
  EXPECT_EQ(sh("id -u").output, "1000\n");
  // Its own processes alone, and no open file of ours.
  EXPECT_LE(std::atoi(sh("ls -d /proc/[0-9]* | wc -l").output.c_str()), 6);
  EXPECT_EQ(python("import os\nprint(sorted(os.listdir('/proc/self/fd')))").output, "['0', '1', '2', '3']\n");
}

TEST_F(SandboxTest, HasNoNetworkAndNoFurtherNamespaces) {
  const auto result = python(
      "import socket\ns = socket.socket()\ns.settimeout(1)\ntry:\n  s.connect(('192.0.2.1', 80))\n  "
      "print('connected')\nexcept OSError as e: print(e.errno)\nprint([n for _, n in "
      "socket.if_nameindex()])");
  EXPECT_EQ(result.output, "101\n['lo']\n") << result.errors;  // ENETUNREACH
  EXPECT_NE(sh("unshare -Ur true").status, 0);
  EXPECT_NE(sh("mount -t tmpfs none /tmp").status, 0);
}

TEST_F(SandboxTest, ATalkerIsCut) {
  const auto result = sh("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done");
  EXPECT_EQ(result.end, SandboxEnd::kOutput);
  EXPECT_EQ(result.output.size(), static_cast<size_t>(kLimits.output_bytes));
  EXPECT_LT(result.seconds, 3);
}

TEST_F(SandboxTest, NoFileStaysOpenAndManyRunsAreFine) {
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  const auto before = open_files();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sh("exit 4").status, 4);
  EXPECT_EQ(open_files(), before);
}

TEST(SandboxRefused, SaysClearlyWhatIsMissing) {
  const auto message = [](const std::string& bwrap) {
    try {
      const Sandbox sandbox(kLimits, bwrap);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return std::string(error.what());
    }
    return std::string("nothing thrown");
  };
  const test::TemporaryFolder folder;
  // What bwrap says on a machine without user namespaces.
  const std::string refusing =
      folder.write("bwrap", "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n");
  std::filesystem::permissions(refusing, std::filesystem::perms(0755));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  EXPECT_NE(message(refusing).find("No permissions to create new namespace"), std::string::npos)
      << message(refusing);
  EXPECT_NE(message(refusing).find("user.max_user_namespaces"), std::string::npos);
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", folder.write("empty/x", "").substr(0, folder.path().size() + 6).c_str(), 1);
  EXPECT_NE(message("").find("install the Debian package bubblewrap"), std::string::npos) << message("");
  ::setenv("PATH", path.c_str(), 1);
}

TEST_F(SandboxTest, ProgramTestsPassAndFail) {
  const auto outcome = [&](const base::Json& facts, std::string_view program, bool all = false) {
    return run_program_tests(*sandbox_, *parse_program_tests(facts), program, all);
  };
  const base::Json cases = {
      {"tests", {{{"input", "1 2"}, {"output", "3\n"}}, {{"input", "5 6"}, {"output", "11"}}}}};
  EXPECT_EQ(outcome(cases, "a, b = map(int, input().split())\nprint(a + b)").passed, 2u);
  const auto constant = outcome(cases, "print(3)", true);
  EXPECT_EQ(constant.passed, 1u);
  EXPECT_EQ(constant.events.at("wrong output"), 1);
  EXPECT_EQ(outcome(cases, "print(4)").total, 2u);
  const base::Json code = {{"tests", "assert add(1, 2) == 3\nassert add(-1, 1) == 0"}};
  EXPECT_EQ(outcome(code, "def add(a, b): return a + b").passed, 1u);
  EXPECT_EQ(outcome(code, "def add(a, b): return a - b").passed, 0u);
  // Leaving early is no success.
  EXPECT_EQ(outcome(code, "import os\nos._exit(0)").passed, 0u);
  EXPECT_EQ(outcome(code, "raise SystemExit(0)").events.at("left before the tests' end"), 1);
  EXPECT_EQ(outcome(code, "while True: pass").events.at("time limit"), 1);
  EXPECT_EQ(outcome(code, "x = '''").passed, 0u);
  EXPECT_EQ(outcome(code, std::string(kMaxProgramBytes + 1, '#')).events.at("program too long"), 1);
  for (const base::Json& bad : {base::Json{{"tests", 3}}, base::Json{{"tests", base::Json::array()}},
                                base::Json{{"tests", {{{"input", "x"}}}}}, base::Json{{"tests", ""}},
                                base::Json{{"tests", "x"}, {"language", "perl"}}})
    EXPECT_THROW(parse_program_tests(bad), Error) << bad;
}

TEST(FindProgram, TakesTheLastBlock) {
  EXPECT_EQ(find_program("Here:\n```python\nprint(1)\n```\nor\n```\nprint(2)\n```\n"), "print(2)\n");
  EXPECT_EQ(find_program("print(3)"), "print(3)");
  EXPECT_EQ(find_program("```"), "```");
  EXPECT_EQ(find_program("``````"), "");
  EXPECT_EQ(find_program("`````"), "`````");
}

}  // namespace
}  // namespace hadal::eval
