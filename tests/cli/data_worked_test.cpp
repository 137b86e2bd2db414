// What reads a file of questions takes the flag that its error names.
#include <gtest/gtest.h>

#include "support/shell.h"
#include "support/temporary_folder.h"

namespace hadal {
namespace {

TEST(SkipBadLines, IsAFlagOfWhatNamesIt) {
  const test::TemporaryFolder folder;
  std::string lines = "{broken\n";
  for (int i = 0; i < 40; ++i)
    lines += "{\"question\": \"" + std::to_string(i) + "+1\", \"answer\": " + std::to_string(i + 1) + "}\n";
  const std::string task = "jsonl:" + folder.write("q.jsonl", lines);
  const std::string recipe =
      folder.write("corpus.toml", "[corpus]\noutput = \"" + (folder / "out") + "\"\ntask = \"" + task +
                                      "\"\ndocuments = 20\nthinking = 0\n");
  for (const std::string& command :
       {"data worked " + recipe,
        "bench rollout --questions 1 --answers 1 --max-tokens 2 --running 1 --threads 1 "
        "--task " +
            task + " --model " + HADAL_SOURCE_DIR + "/models/hadal-nano"}) {
    const std::string line = std::string(HADAL_BINARY) + " " + command;
    test::expect_usage_error(test::shell(line + " 2>&1"), "--skip-bad-lines");
    const test::Outcome skipped = test::shell(line + " --skip-bad-lines 2>&1");
    EXPECT_EQ(skipped.status, 0) << skipped.output;
    EXPECT_NE(skipped.output.find("1 lines skipped"), std::string::npos) << skipped.output;
  }
}

}  // namespace
}  // namespace hadal
