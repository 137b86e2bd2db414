// hadal tokenizer, run as a person runs it: outputs, exit statuses, one line for each error.
#include <gtest/gtest.h>

#include <string>

#include "base/files.h"
#include "support/shell.h"
#include "support/temporary_folder.h"

namespace {

using hadal::test::Outcome;
using hadal::test::shell;

class TokenizerCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 50; ++i) text += "The deep sea is deep. " + std::to_string(i * 37) + "\n";
    hadal::base::write_file_atomic(folder_ + "/text.txt", text);
    const Outcome train =
        run("train --text " + folder_ + "/text.txt --vocab-size 300 --out " + tokenizer() + " 2>&1");
    ASSERT_EQ(train.status, 0) << train.output;
    EXPECT_NE(train.output.find("300 tokens"), std::string::npos) << train.output;
  }
  std::string tokenizer() const { return folder_ + "/tokenizer.json"; }
  static Outcome run(const std::string& arguments) { return shell(HADAL_BINARY " tokenizer " + arguments); }
  void expect_usage_error(const std::string& arguments, const std::string& part) {
    hadal::test::expect_usage_error(run(arguments + " 2>&1 < /dev/null"), part);
  }

  const hadal::test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

TEST_F(TokenizerCommand, EncodesAndDecodes) {
  const Outcome file = run("encode --tokenizer " + tokenizer() + " --file " + folder_ + "/text.txt --json");
  EXPECT_EQ(file.status, 0);
  hadal::base::write_file_atomic(folder_ + "/ids.json", file.output);
  const Outcome back = run("decode --tokenizer " + folder_ + " < " + folder_ + "/ids.json");
  EXPECT_EQ(back.status, 0);
  EXPECT_EQ(back.output, hadal::base::read_file(folder_ + "/text.txt"));
}

TEST_F(TokenizerCommand, ControlTokensOnlyWithSpecial) {
  const std::string text = " --tokenizer " + tokenizer() + " --text '<think>' ";
  EXPECT_EQ(run("encode" + text + "--special").output, "5\n");
  EXPECT_EQ(run("encode" + text + "--special --json").output, "[5]\n");
  EXPECT_NE(run("encode" + text).output, "5\n");
  EXPECT_EQ(run("encode" + text + "--special --count").output, "1\n");
  EXPECT_EQ(run("encode --tokenizer " + tokenizer() + " --text ''").output, "\n");
  EXPECT_EQ(run("decode --tokenizer " + tokenizer() + " --ids 5 1").output, "<think><｜end▁of▁sentence｜>");
  EXPECT_EQ(run("decode --tokenizer " + tokenizer() + " --skip-special --ids 5 1").output, "<think>");
}

TEST_F(TokenizerCommand, ErrorsAreOneLineAndAStatus) {
  expect_usage_error("decode --tokenizer " + tokenizer() + " --ids 300", "300");
  expect_usage_error("decode --tokenizer " + tokenizer() + " --ids 1 x2", "x2");
  expect_usage_error("encode --tokenizer " + folder_ + "/text.txt", "not valid JSON");
  expect_usage_error("train --text /dev/null/none --vocab-size 10 --out " + tokenizer() + " --threads 0",
                     "--threads");
  expect_usage_error("train --text " + folder_ + "/text.txt --vocab-size 10 --out " + tokenizer(),
                     "vocab_size 10");
  hadal::base::write_file_atomic(folder_ + "/empty.txt", "");
  expect_usage_error("train --text " + folder_ + "/empty.txt --out " + tokenizer(), "no text");
  EXPECT_EQ(run("encode --tokenizer " + folder_ + "/none.json --text a 2>&1").status, 2);
  EXPECT_EQ(run("encode --tokenizer " + folder_ + "/none --text a 2>&1").status, 2);
  // The earlier tokenizer is as it was.
  EXPECT_EQ(run("encode --tokenizer " + tokenizer() + " --text a").status, 0);
}

TEST_F(TokenizerCommand, HelpHasExamples) {
  for (const char* command : {"--help", "train --help", "encode --help", "decode --help"}) {
    const Outcome help = run(command);
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.output.find("hadal tokenizer "), std::string::npos) << help.output;
  }
}

}  // namespace
