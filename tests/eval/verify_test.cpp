// Verifiers: fractions, expressions, numbers, and where an answer stands.
#include <gtest/gtest.h>

#include "base/random.h"
#include "eval/verify/answer_text.h"
#include "eval/verify/expression.h"
#include "eval/verify/number.h"

namespace hadal::eval {
namespace {

std::string value_of(std::string_view text) {
  const auto e = evaluate_expression(text);
  return e ? e->value.text() : "none";
}

std::string number_of(std::string_view text) {
  const auto n = parse_number(text);
  return n ? n->text() : "none";
}

TEST(Expression, IsEvaluatedExactly) {
  EXPECT_EQ(value_of("3+4*2"), "11");
  EXPECT_EQ(value_of("(3+4)*2"), "14");
  EXPECT_EQ(value_of("8-3-2"), "3");
  EXPECT_EQ(value_of("100/10/2"), "5");
  EXPECT_EQ(value_of(" 1 / 3 + 1 / 6 "), "1/2");
  EXPECT_EQ(value_of("8/(3-8/3)"), "24");  // only with fractions on the way
  EXPECT_EQ(value_of("-2*-3"), "6");
  EXPECT_EQ(value_of("3 × 4 ÷ 6 − 1"), "1");
  EXPECT_EQ(value_of("0/5"), "0");
}

TEST(Expression, RefusesWhatIsNone) {
  for (const char* text :
       {"", " ", "3+", "+", "(3", "3)", "3 4", "2(3)", "()", "3**2", "x", "3.5", "1/0", "1/(2-2)",
        "12345678901234567890", "3;4", "3=3", "__import__('os')", "999999999999999999*999999999999"})
    EXPECT_EQ(value_of(text), "none") << text;
  EXPECT_EQ(value_of(std::string(5000, '1')), "none");
  EXPECT_EQ(value_of(std::string(500, '(') + "1" + std::string(500, ')')), "none");
  EXPECT_EQ(value_of(std::string(500, '-') + "1"), "none");
  EXPECT_EQ(value_of(std::string(50, '(') + "1" + std::string(50, ')')), "1");
  EXPECT_EQ(value_of(std::string("1\0+1", 4)), "none");
}

TEST(Expression, TellsNumbersAndOperations) {
  const auto e = evaluate_expression("(7-3)*12/7");
  ASSERT_TRUE(e);
  EXPECT_EQ(e->numbers, (std::vector<int64_t>{7, 3, 12, 7}));
  EXPECT_EQ(e->operations, 3);
}

// Random expressions against long double.
TEST(Expression, AgreesWithFloatingPoint) {
  base::Random random(5);
  for (int round = 0; round < 2000; ++round) {
    const auto a = static_cast<int64_t>(random.below(1000)), b = 1 + static_cast<int64_t>(random.below(999)),
               c = static_cast<int64_t>(random.below(1000));
    const std::string text = std::to_string(a) + "*(" + std::to_string(c) + "-" + std::to_string(b) + ")/" +
                             std::to_string(b) + "+" + std::to_string(c);
    const auto e = evaluate_expression(text);
    ASSERT_TRUE(e) << text;
    const long double exact = static_cast<long double>(a) * static_cast<long double>(c - b) / b + c;
    EXPECT_NEAR(static_cast<double>(e->value.numerator()) / static_cast<double>(e->value.denominator()),
                static_cast<double>(exact), 1e-9 * (1 + std::abs(static_cast<double>(exact))))
        << text;
  }
}

TEST(Rational, LeavesNothingButExactValues) {
  EXPECT_FALSE(Rational::of(1, 0));
  EXPECT_EQ(Rational::of(-6, -4)->text(), "3/2");
  EXPECT_EQ(Rational::of(6, -4)->text(), "-3/2");
  EXPECT_FALSE(add(Rational(INT64_MAX), Rational(1)));
  EXPECT_FALSE(multiply(Rational(INT64_MAX), Rational(2)));
  EXPECT_FALSE(Rational::of(INT64_MIN, 1));
  EXPECT_FALSE(divide(Rational(1), Rational(0)));
}

TEST(Number, IsReadAsPeopleAndModelsWriteIt) {
  EXPECT_EQ(number_of("46"), "46");
  EXPECT_EQ(number_of(" -3 "), "-3");
  EXPECT_EQ(number_of("−3"), "-3");
  EXPECT_EQ(number_of("+7."), "7");
  EXPECT_EQ(number_of("1,234"), "1234");
  EXPECT_EQ(number_of("1,234,567"), "1234567");
  EXPECT_EQ(number_of("$5"), "5");
  EXPECT_EQ(number_of("-$5.50"), "-11/2");
  EXPECT_EQ(number_of("0.25"), "1/4");
  EXPECT_EQ(number_of(".5"), "1/2");
  EXPECT_EQ(number_of("1.5e3"), "1500");
  EXPECT_EQ(number_of("15e-1"), "3/2");
  EXPECT_EQ(number_of("3/4"), "3/4");
  EXPECT_EQ(number_of("\\frac{3}{4}"), "3/4");
  EXPECT_EQ(number_of("-\\frac{3}{4}"), "-3/4");
  EXPECT_EQ(number_of("50%"), "50");
  EXPECT_EQ(number_of("$46$"), "46");
  EXPECT_EQ(number_of("007"), "7");
}

TEST(Number, RefusesEverythingElse) {
  for (const char* text : {"",       ".",       "-",     "$",         "4 6",
                           "1,23",   "12,3456", "1.2.3", "forty",     "46 apples",
                           "1e99",   "1/0",     "1/2/3", "\\frac{1}", "0x10",
                           "1,,234", "--3",     "nan",   "inf",       "12345678901234567890",
                           "3+4",    "\\frac{", "%",     "e3",        "1e",
                           ","})
    EXPECT_EQ(number_of(text), "none") << text;
}

TEST(Integers, AreReadFromLists) {
  using List = std::vector<int64_t>;
  EXPECT_EQ(parse_integers("3 5 8"), (List{3, 5, 8}));
  EXPECT_EQ(parse_integers(" [3, 5,8] "), (List{3, 5, 8}));
  EXPECT_EQ(parse_integers("-4"), (List{-4}));
  for (const char* text : {"", "[]", "3,,5", ",3", "3,", "3 x", "3.5", "[3", "- 3"})
    EXPECT_FALSE(parse_integers(text)) << text;
}

TEST(Tags, AreFound) {
  const auto p = parse_tags(" <think>4+7=11\n</think>\n <answer> 91 </answer>\n");
  EXPECT_TRUE(p.well_formed);
  EXPECT_TRUE(p.answered);
  EXPECT_EQ(p.reasoning, "4+7=11");
  EXPECT_EQ(p.answer, "91");
}

TEST(Tags, TheLastClosedAnswerCounts) {
  const auto p = parse_tags("<think>a</think><answer>1</answer> no <answer>2</answer> <answer>3");
  EXPECT_EQ(p.answer, "2");
  EXPECT_TRUE(p.answered);
  EXPECT_FALSE(p.well_formed);
}

TEST(Tags, AnswersWithoutEndOrBeginningAreNone) {
  for (const char* text :
       {"", "91", "<answer>91", "91</answer>", "</answer><answer>", "<answer 91</answer>", "<think><answer>"})
    EXPECT_FALSE(parse_tags(text).answered) << text;
  EXPECT_EQ(parse_tags("<think>never ends").reasoning, "never ends");
}

TEST(Tags, WellFormedMeansNothingElse) {
  for (const char* text :
       {"<answer>1</answer>", "<think></think><answer>1</answer>", "<think>a</think><answer></answer>",
        "so <think>a</think><answer>1</answer>", "<think>a</think><answer>1</answer> x",
        "<think>a</think> and <answer>1</answer>", "<think>a<answer>1</answer></think><answer>1</answer>",
        "<think>a</think><answer><answer>1</answer>", "<answer>1</answer><think>a</think>",
        "<think>a<think>b</think><answer>1</answer>", "<think>a</think><answer>1</answer><answer>1</answer>"})
    EXPECT_FALSE(parse_tags(text).well_formed) << text;
}

TEST(Tags, ReasoningThatThePromptOpenedEndsAtTheClosingTag) {
  const auto p = parse_tags("4+7=11</think><answer>91</answer>", true);
  EXPECT_TRUE(p.well_formed);
  EXPECT_EQ(p.reasoning, "4+7=11");
  EXPECT_FALSE(parse_tags("4+7=11</think><answer>91</answer>").well_formed);
  EXPECT_EQ(parse_tags("4+7=11</think><answer>91</answer>").reasoning, "4+7=11");
  EXPECT_FALSE(parse_tags("<think>a</think><answer>1</answer>", true).well_formed);
  EXPECT_EQ(parse_tags("never ends", true).reasoning, "never ends");
  const auto chat = parse_chat_answer("is it \\boxed{2}?</think>It is 91.\n**91**");
  EXPECT_EQ(chat.reasoning, "is it \\boxed{2}?");
  EXPECT_EQ(chat.answer, "91");
  EXPECT_FALSE(parse_chat_answer("<answer>1</answer>, or not", true).answered);
}

TEST(FirstLine, IsTheAnswer) {
  EXPECT_EQ(parse_first_line("91\n12+1=").answer, "91");
  EXPECT_FALSE(parse_first_line("91\n12+1=").well_formed);
  EXPECT_TRUE(parse_first_line("91\n").well_formed);
  EXPECT_FALSE(parse_first_line("\n91").answered);
}

TEST(ChatAnswer, IsFoundWhereChatModelsPutIt) {
  EXPECT_EQ(parse_chat_answer("So it is <answer>91</answer>.").answer, "91");
  EXPECT_TRUE(parse_chat_answer("So it is <answer>91</answer>.").well_formed);
  EXPECT_EQ(parse_chat_answer("Thus $\\boxed{\\frac{1}{2}}$ is it.").answer, "\\frac{1}{2}");
  EXPECT_EQ(parse_chat_answer("Let me see.\n\n**Answer: 91**\n").answer, "91");
  EXPECT_EQ(parse_chat_answer("Answer: 91").answer, "91");
  EXPECT_EQ(parse_chat_answer("\\boxed{1").answer, "\\boxed{1");
  EXPECT_FALSE(parse_chat_answer("  \n").answered);
}

TEST(SameAnswer, ComparesNumbersAsNumbersAndTextAsText) {
  EXPECT_TRUE(same_answer("0.5", "1/2"));
  EXPECT_TRUE(same_answer(" Paris. ", "paris"));
  EXPECT_TRUE(same_answer("New   York", "new york"));
  EXPECT_FALSE(same_answer("5", "5 apples"));
  EXPECT_FALSE(same_answer("", "0"));
}

}  // namespace
}  // namespace hadal::eval
