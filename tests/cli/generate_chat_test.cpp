// hadal generate, chat, logits and grads as a person or a script runs them, on a real tiny model.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "engine/tiny_model.h"
#include "format/safetensors.h"
#include "support/shell.h"

namespace hadal {
namespace {

using test::Outcome;
using test::shell;

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    // No end token: answers are as long as they may be.
    base::write_file_atomic(model_.path("generation_config.json"), R"({"eos_token_id": []})");
    base::write_file_atomic(model_.path("tokens.json"), "[5, 6, 7, 8]");
  }
  std::string model() const { return " --model " + model_.directory() + " "; }
  Outcome run(const std::string& command, const std::string& rest) const {
    return shell(HADAL_BINARY " " + command + model() + rest);
  }
  void expect_usage_error(const std::string& command, const std::string& rest,
                          const std::string& part) const {
    test::expect_usage_error(run(command, rest + " 2>&1 < /dev/null"), part);
  }

  engine::TinyModel model_;
};

TEST_F(Commands, GenerateGivesTheSameAsJsonAsText) {
  const std::string arguments = "--prompt 'the deep sea' --max-tokens 12 --temperature 0.8 --seed 3 ";
  const Outcome json = run("generate", arguments + "--json");
  ASSERT_EQ(json.status, 0) << json.output;
  const auto answer = base::parse_json(json.output, "stdout");
  EXPECT_EQ(answer.at("tokens").size(), 12u);
  EXPECT_EQ(answer.at("finish_reason"), "length");
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 12);
  EXPECT_GT(answer.at("usage").at("prompt_tokens").get<int>(), 1);
  EXPECT_GT(answer.at("decode_tokens_per_s").get<double>(), 0);
  const Outcome text = run("generate", arguments);
  EXPECT_EQ(text.output, answer.at("text").get<std::string>() + "\n");
  const Outcome piped = shell("printf 'the deep sea' | " HADAL_BINARY " generate" + model() +
                              "--prompt-file - --max-tokens 12 --temperature 0.8 --seed 3");
  EXPECT_EQ(piped.output, text.output);
  const Outcome chat = run("generate", arguments + "--chat --json");
  EXPECT_NE(base::parse_json(chat.output, "stdout").at("tokens"), answer.at("tokens"));
}

TEST_F(Commands, BadInputIsOneLineAndStatusTwo) {
  expect_usage_error("generate", "--prompt x --temperature -1", "[sampling] temperature: -1");
  expect_usage_error("generate", "--prompt x --top-p nan", "top_p");
  expect_usage_error("generate", "--max-tokens 3", "prompt");
  expect_usage_error("generate", "--prompt x --max-tokens many", "--max-tokens");
  expect_usage_error("generate", "--prompt x --context 100000000", "[engine] context of 100000000");
  expect_usage_error("logits", "--tokens /dev/null --out /tmp/x", "not valid JSON");
  const auto tokens = [&](const std::string& text, const std::string& part) {
    base::write_file_atomic(model_.path("bad.json"), text);
    expect_usage_error("logits", "--out /tmp/x --tokens " + model_.path("bad.json"), part);
    expect_usage_error("grads", "--out /tmp/x --tokens " + model_.path("bad.json"), part);
  };
  tokens("{}", "not a JSON array");
  tokens("[]", "0 ids, expected");
  tokens("[1, 320]", "item 1: 320 is not a token of a vocabulary of 320");
  tokens("[1, -1]", "item 1: -1");
  tokens("[1, \"2\"]", "item 1: \"2\"");
  const Outcome missing = shell(HADAL_BINARY " generate --model /no/such --prompt x 2>&1");
  EXPECT_EQ(missing.status, 2);
  EXPECT_NE(missing.output.find("/no/such"), std::string::npos);
}

TEST_F(Commands, LogitsAreTheSameForAnyNumberOfThreads) {
  const auto file = [&](const std::string& name) { return base::read_file(model_.path(name)); };
  for (const std::string mode : {"", "--decode "}) {
    for (const std::string threads : {"1", "2"}) {
      const Outcome outcome = run("logits", "--tokens " + model_.path("tokens.json") + " --out " +
                                                model_.path(threads) + " " + mode + "--threads " + threads);
      ASSERT_EQ(outcome.status, 0);
    }
    EXPECT_EQ(file("1"), file("2")) << mode;
  }
}

TEST_F(Commands, TheLogLevelMayStandAnywhere) {
  const std::string text = " --prompt x --max-tokens 1";
  EXPECT_EQ(run("generate", text + " --log-level off > /dev/null").status, 0);
  EXPECT_EQ(run("--log-level off generate", text + " > /dev/null").status, 0);
  expect_usage_error("generate", text + " --log-level loud", "loud");
  expect_usage_error("eval bpb", "--text " + model_.path("tokens.json") + " --log-level loud", "loud");
  expect_usage_error("generate", text + " --no-such-flag", "--no-such-flag");
}

TEST_F(Commands, NumbersOutOfRangeAreUsageErrors) {
  for (const std::string threads : {"-1", "1025"}) {
    expect_usage_error("generate", "--prompt x --threads " + threads, "--threads");
    expect_usage_error("logits", "--tokens x --out y --threads " + threads, "--threads");
    expect_usage_error("grads", "--tokens x --out y --threads " + threads, "--threads");
  }
  expect_usage_error("eval bpb", "--text " + model_.path("tokens.json") + " --window 1000000", "positions");
}

TEST_F(Commands, AFailedWriteIsStatusOne) {
  const Outcome outcome = run("logits", "--tokens " + model_.path("tokens.json") + " --out /dev/full/x 2>&1");
  EXPECT_EQ(outcome.status, 1) << outcome.output;
  EXPECT_NE(outcome.output.find("/dev/full/x"), std::string::npos) << outcome.output;
}

TEST_F(Commands, ChatTalksThroughAPipe) {
  const std::string flags = "--max-tokens 8 --temperature 0";
  const Outcome outcome =
      shell("printf 'hello\\n\\n/new\\nhello\\n/nonsense\\n/exit\\nnever read\\n' | " HADAL_BINARY " chat" +
            model() + flags);
  EXPECT_EQ(outcome.status, 0);
  const Outcome once = shell("printf 'hello' | " HADAL_BINARY " chat" + model() + flags);
  EXPECT_EQ(once.status, 0);
  ASSERT_GT(once.output.size(), 1u);
  // After /new the same question gets the same answer.
  EXPECT_EQ(outcome.output.rfind(once.output + once.output, 0), 0u) << outcome.output;
  EXPECT_NE(outcome.output.find("/nonsense is not a command."), std::string::npos) << outcome.output;
}

// A program on a terminal of its own.
class Terminal {
 public:
  explicit Terminal(const std::vector<std::string>& command) {
    pid_ = ::forkpty(&fd_, nullptr, nullptr, nullptr);
    if (pid_ != 0) return;
    std::vector<char*> argv;
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::setenv("TERM", "xterm", 1);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Terminal() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(fd_);
  }
  void type(const std::string& keys) {
    ASSERT_EQ(::write(fd_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // Reads until `text` is on the screen (after what was waited for before); false after half a minute or at
  // the end.
  bool see(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (true) {
      if (const size_t at = screen_.find(text, seen_); at != std::string::npos) {
        seen_ = at + text.size();
        return true;
      }
      if (std::chrono::steady_clock::now() > deadline || !read_some()) return false;
    }
  }
  // The prompt is on the screen, and keys go to the line editor: until then Ctrl-C is still a signal.
  bool see_prompt() {
    if (!see("> ")) return false;
    for (int tenth = 0; tenth < 300; ++tenth) {
      termios settings{};
      if (::tcgetattr(fd_, &settings) == 0 && (settings.c_lflag & ICANON) == 0) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }
  bool see_bytes(size_t more) {
    const size_t goal = screen_.size() + more;
    while (screen_.size() < goal) {
      if (!read_some()) return false;
    }
    return true;
  }
  // The program's exit status; -1 when it is still there after half a minute of silence.
  int wait() {
    while (read_some()) {
    }
    for (int tenth = 0; tenth < 50; ++tenth) {
      int raw = 0;
      if (::waitpid(pid_, &raw, WNOHANG) == pid_) {
        pid_ = -1;
        return WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return -1;
  }
  const std::string& screen() const { return screen_; }

 private:
  bool read_some() {
    pollfd poll{fd_, POLLIN, 0};
    if (::poll(&poll, 1, 30'000) <= 0) return false;
    char buffer[4096];
    const ssize_t got = ::read(fd_, buffer, sizeof buffer);
    if (got <= 0) return false;
    screen_.append(buffer, static_cast<size_t>(got));
    return true;
  }
  pid_t pid_ = -1;
  int fd_ = -1;
  std::string screen_;
  size_t seen_ = 0;
};

TEST_F(Commands, ChatOnATerminalStopsAnAnswerButNotItself) {
  Terminal terminal(
      {HADAL_BINARY, "chat", "--model", model_.directory(), "--temperature", "1", "--seed", "2"});
  ASSERT_TRUE(terminal.see("/help lists the commands")) << terminal.screen();
  ASSERT_TRUE(terminal.see_prompt()) << terminal.screen();
  terminal.type("never sent\x03");  // Ctrl-C at the prompt drops the line
  ASSERT_TRUE(terminal.see("^C")) << terminal.screen();
  ASSERT_TRUE(terminal.see("> ")) << terminal.screen();
  terminal.type("hello\r");
  ASSERT_TRUE(terminal.see("hello"));
  ASSERT_TRUE(terminal.see_bytes(40))
      << terminal.screen();  // the answer streams (8000 tokens if nobody stops it)
  terminal.type("\x03");
  ASSERT_TRUE(terminal.see("[stopped]")) << terminal.screen();
  ASSERT_TRUE(terminal.see("> ")) << terminal.screen();
  terminal.type("/help\r");
  ASSERT_TRUE(terminal.see("Ctrl-C stops an answer")) << terminal.screen();
  ASSERT_TRUE(terminal.see("> ")) << terminal.screen();
  terminal.type("\x04");  // Ctrl-D, at once: also while the editor is not yet reading keys
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
}

}  // namespace
}  // namespace hadal
