// hadal eval tasks, problems, sandbox and card as a person and a script run them, with the model that ships.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/json.h"
#include "support/namespaces.h"
#include "support/shell.h"
#include "support/temporary_folder.h"

namespace hadal {
namespace {

using base::Json;
using test::Outcome;

const std::string kModel = std::string(HADAL_SOURCE_DIR) + "/models/hadal-nano";

Outcome eval(const std::string& arguments) {
  return test::shell(std::string(HADAL_BINARY) + " eval " + arguments + " 2>&1 < /dev/null");
}

std::string run(const std::string& more) {
  return "tasks --threads 1 --context 512 --model " + kModel + " --problems 3 --max-tokens 8 " + more;
}

std::vector<Json> lines(const std::string& text) {
  std::vector<Json> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(Json::parse(line));
  return out;
}

TEST(EvalCommand, ListsTasksAndHasHelp) {
  const Outcome list = eval("tasks --list");
  EXPECT_EQ(list.status, 0);
  for (const char* name :
       {"sums:2", "products:3", "countdown:5", "sorting:1", "brackets:4", "letters:3", "logic:5"})
    EXPECT_NE(list.output.find(name), std::string::npos) << name;
  for (const char* command : {"tasks", "problems", "card", "sandbox"}) {
    const Outcome help = eval(std::string(command) + " --help");
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.output.find(std::string("hadal eval ") + command), std::string::npos) << help.output;
  }
}

TEST(EvalCommand, MeasuresAModelAndTheSameSeedGivesTheSameBits) {
  const test::TemporaryFolder folder;
  const std::string flags = "--task sums:1 --task brackets:4 --samples 2 --temperature 0.8 --seed 5 --k 1,2 ";
  const Outcome first =
      eval(run(flags + "--json --out " + (folder / "a.json") + " --samples-out " + (folder / "a.jsonl")));
  ASSERT_EQ(first.status, 0) << first.output;
  const Json json = Json::parse(first.output);
  EXPECT_EQ(json["tasks"].size(), 2u);
  EXPECT_EQ(json["tasks"][0]["problems"], 3);
  EXPECT_EQ(json["tasks"][0]["prompt_template"], "chat") << "a model with a chat format";
  EXPECT_EQ(json["greedy"], false);
  EXPECT_EQ(json["seed"], 5);
  EXPECT_EQ(json, Json::parse(test::slurp(folder / "a.json")));
  const auto samples = lines(test::slurp(folder / "a.jsonl"));
  ASSERT_EQ(samples.size(), 12u);
  for (const Json& sample : samples) EXPECT_TRUE(sample.contains("text") && sample.contains("correct"));
  const Outcome second = eval(run(flags + "--in-flight 1 --samples-out " + (folder / "b.jsonl")));
  EXPECT_EQ(second.status, 0);
  EXPECT_NE(second.output.find("seeded: --temperature 0.8 --seed 5"), std::string::npos) << second.output;
  EXPECT_NE(second.output.find("pass@2"), std::string::npos);
  EXPECT_EQ(test::slurp(folder / "a.jsonl"), test::slurp(folder / "b.jsonl"));

  // Its card.
  const std::string card = "card base=" + (folder / "a.json") + " again=" + (folder / "a.json");
  const Outcome written = eval(card + " --out " + (folder / "c.html") + " --out " + (folder / "c.md"));
  EXPECT_EQ(written.status, 0) << written.output;
  EXPECT_NE(test::slurp(folder / "c.html").find("<svg"), std::string::npos);
  EXPECT_EQ(eval(card).output, test::slurp(folder / "c.md"));
  test::expect_usage_error(eval(card + " --out " + (folder / "c.pdf")), "ends in .html or .md");
  test::expect_usage_error(eval("card base"), "write NAME=FILE");
  test::expect_usage_error(eval("card base=" + (folder / "a.jsonl")), "a.jsonl");
}

TEST(EvalCommand, GreedySaysSo) {
  const Outcome outcome = eval(run("--task letters:1 --temperature 0"));
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("greedy: --temperature 0 --seed 0"), std::string::npos) << outcome.output;
  test::expect_usage_error(eval(run("--task letters:1 --temperature 0 --samples 4")),
                           "the same answer 4 times");
}

TEST(EvalCommand, WrongFlagsAreOneLine) {
  test::expect_usage_error(eval(run("")), "no --task");
  test::expect_usage_error(eval("tasks --task sums:2"), "no --model");
  test::expect_usage_error(eval(run("--task sumz:2")), "did you mean sums?");
  test::expect_usage_error(eval(run("--task sums:2 --samples 4 --k 8")), "pass@8 needs 8 samples");
  test::expect_usage_error(eval(run("--task jsonl:/nowhere")), "/nowhere");
  const test::TemporaryFolder folder;
  const std::string bad =
      folder.write("bad.jsonl", "{\"question\": \"a\", \"answer\": \"b\"}\n{\"question\": 3}\n");
  test::expect_usage_error(eval(run("--split all --task jsonl:" + bad)), "bad.jsonl:2: ");
  const Outcome skipped = eval(run("--split all --skip-bad-lines --task jsonl:" + bad));
  EXPECT_EQ(skipped.status, 0) << skipped.output;
  EXPECT_NE(skipped.output.find("1 bad lines skipped"), std::string::npos) << skipped.output;
}

// Ctrl-C: what is complete is counted and written, and the status says that it is not all.
// The second task has no question on the held-out side.
TEST(EvalCommand, ATaskThatFailsLeavesTheResultsOfThoseBeforeIt) {
  const test::TemporaryFolder folder;
  const std::string all = eval("problems --split train --count 1 --task sums:2").output;
  const std::string flags =
      "--task sums:1 --task jsonl:" + folder.write("q.jsonl", all) + " --out " + (folder / "a.json");
  const Outcome outcome = eval(run(flags));
  EXPECT_EQ(outcome.status, 2) << outcome.output;
  EXPECT_NE(outcome.output.find("pass@1"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("results of the tasks before it are kept"), std::string::npos)
      << outcome.output;
  const Json json = Json::parse(test::slurp(folder / "a.json"));
  EXPECT_EQ(json["tasks"].size(), 1u);
  EXPECT_NE(json["failed"]["task"].get<std::string>().find("q.jsonl"), std::string::npos);
}

TEST(EvalCommand, InterruptedKeepsWhatIsComplete) {
  const test::TemporaryFolder folder;
  const std::string samples = folder / "s.jsonl";
  // timeout sends SIGINT; with one in flight some problems end before it, thousands do not.
  const Outcome outcome =
      test::shell("timeout --signal=INT 4 " + std::string(HADAL_BINARY) +
                  " eval tasks --threads 1 --context 512 --model " + kModel +
                  " --task sums:3 --problems 20000 --max-tokens 8 --in-flight 2 --samples-out " + samples +
                  " --out " + (folder / "r.json") + " 2>&1 < /dev/null; exit 0");
  EXPECT_NE(outcome.output.find("interrupted"), std::string::npos) << outcome.output;
  const Json json = Json::parse(test::slurp(folder / "r.json"));
  EXPECT_EQ(json["tasks"][0]["interrupted"], true);
  const auto written = lines(test::slurp(samples));
  EXPECT_EQ(json["tasks"][0]["problems"], written.size());
}

TEST(EvalProblems, AreTheSameEachTimeAndHaveWorkedCompletions) {
  const std::string command =
      "problems --task sums:2 --task countdown:1 --split train --count 20 --prompt short";
  const Outcome outcome = eval(command);
  EXPECT_EQ(outcome.output, eval(command).output);
  const auto problems = lines(outcome.output);
  ASSERT_EQ(problems.size(), 40u);
  EXPECT_EQ(problems[0]["prompt"], problems[0]["brief"].get<std::string>() + "\n");
  EXPECT_NE(problems[0]["completion"].get<std::string>().find("<answer>" +
                                                              problems[0]["answer"].get<std::string>()),
            std::string::npos);
  // What is written is a task file, too.
  const test::TemporaryFolder folder;
  const Outcome back =
      eval("problems --split all --count 99 --task jsonl:" + folder.write("p.jsonl", outcome.output));
  EXPECT_EQ(lines(back.output).size(), 40u) << back.output.substr(0, 400);
}

TEST(EvalSandbox, WorksAsRootAndAsANormalUser) {
  HADAL_NEEDS_NAMESPACES();
  const test::TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  const std::string program =
      folder.write("p.py", "import os\nprint(os.getuid(), flush=True)\nos.fork()\nwhile True: pass\n");
  // Of a copy: a normal user may not reach the build folder.
  const std::string binary = folder / "hadal";
  std::filesystem::copy_file(HADAL_BINARY, binary);
  std::filesystem::permissions(binary, std::filesystem::perms(0755));
  std::vector<std::string> users = {""};
  if (::getuid() == 0) users.push_back("setpriv --reuid=4242 --regid=4242 --clear-groups --no-new-privs ");
  for (const std::string& user : users) {
    const Outcome check = test::shell(user + binary + " eval sandbox 2>&1");
    EXPECT_EQ(check.status, 0) << user << check.output;
    EXPECT_NE(check.output.find("the sandbox works"), std::string::npos) << check.output;
    const Outcome ran =
        test::shell(user + binary + " eval sandbox --seconds 1 --program " + program + " 2>&1");
    ASSERT_EQ(ran.status, 0) << ran.output;
    const Json json = Json::parse(ran.output);
    EXPECT_EQ(json["end"], "time limit");
    EXPECT_EQ(json["output"].get<std::string>().substr(0, 4), "1000");
  }
  const Outcome missing = test::shell("PATH=/nonexistent " + binary + " eval sandbox 2>&1");
  test::expect_usage_error(missing, "install the Debian package bubblewrap");
}

}  // namespace
}  // namespace hadal
