#include "base/toml_reader.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hadal::base {
namespace {

template <typename Fn>
std::string error_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  return "";
}

constexpr const char* kText =
    "[a]\nn = 3\nx = 1.5\ns = \"t\"\nb = true\nl = [\"p\", \"q\"]\n[a.deep]\nk = 1\n[[row]]\nid = "
    "1\n[[row]]\nid = 2\n";

TEST(TomlReader, ReadsEveryType) {
  const TomlTable root = TomlTable::parse(kText, "r.toml");
  const TomlTable a = root.section("a");
  EXPECT_EQ(a.get_int("n", 0), 3);
  EXPECT_EQ(a.get_double("x", 0), 1.5);
  EXPECT_EQ(a.get_double("n", 0), 3.0);
  EXPECT_EQ(a.get_string("s", ""), "t");
  EXPECT_TRUE(a.get_bool("b", false));
  EXPECT_EQ(a.get_strings("l"), (std::vector<std::string>{"p", "q"}));
  EXPECT_EQ(a.get_int("missing", 7), 7);
  EXPECT_EQ(a.section("deep").get_int("k", 0), 1);
  ASSERT_EQ(root.tables("row").size(), 2u);
  EXPECT_EQ(root.tables("row")[1].get_int("id", 0), 2);
  root.reject_unknown();
  EXPECT_EQ(root.section("absent").get_int("n", 5), 5);
}

TEST(TomlReader, NamesUnknownKeysAndTheNearest) {
  const TomlTable root = TomlTable::parse("[train]\nlearning_rte = 1.0\n", "r.toml");
  root.section("train").get_double("learning_rate", 0);
  EXPECT_EQ(error_of([&] { root.reject_unknown(); }),
            "[recipe] r.toml:2: unknown key train.learning_rte; did you mean train.learning_rate?");
  const TomlTable section = TomlTable::parse("[trian]\nx = 1\n", "r.toml");
  section.section("train");
  EXPECT_NE(error_of([&] { section.reject_unknown(); }).find("unknown key trian; did you mean train?"),
            std::string::npos);
  const TomlTable far = TomlTable::parse("zzz = 1\n", "r.toml");
  far.get_int("steps", 0);
  EXPECT_EQ(error_of([&] { far.reject_unknown(); }), "[recipe] r.toml:1: unknown key zzz");
}

TEST(TomlReader, ReportsUnknownKeysInArraysOfTables) {
  const TomlTable root = TomlTable::parse("[[row]]\nid = 1\n[[row]]\nidd = 2\n", "r.toml");
  for (const TomlTable& row : root.tables("row")) row.get_int("id", 0);
  EXPECT_NE(
      error_of([&] { root.reject_unknown(); }).find("r.toml:4: unknown key row.idd; did you mean row.id?"),
      std::string::npos);
}

TEST(TomlReader, NamesLineAndKeyOfAWrongType) {
  const TomlTable root = TomlTable::parse("[a]\nn = \"three\"\n", "r.toml");
  const std::string message = error_of([&] { root.section("a").get_int("n", 0); });
  EXPECT_NE(message.find("r.toml:2: a.n: expected an integer"), std::string::npos) << message;
  EXPECT_NE(error_of([&] { root.section("a").require_int("gone"); }).find("a.gone is missing"),
            std::string::npos);
  EXPECT_NE(error_of([&] { root.section("a").section("n"); }).find("expected a table"), std::string::npos);
  EXPECT_NE(error_of([&] { root.tables("a"); }).find("expected an array of tables"), std::string::npos);
}

TEST(TomlReader, NamesTheLineOfASyntaxError) {
  EXPECT_NE(error_of([] { TomlTable::parse("a = 1\nb = = 2\n", "r.toml"); }).find("r.toml:2"),
            std::string::npos);
}

TEST(TomlReader, OverridesReplaceAndAdd) {
  TomlTable root = TomlTable::parse("[a]\nn = 3\n", "r.toml");
  root.apply_override("a.n=4");
  root.apply_override("a.s=plain text");
  root.apply_override("b.c.x=2.5");
  root.apply_override("a.l=[\"u\"]");
  EXPECT_EQ(root.section("a").get_int("n", 0), 4);
  EXPECT_EQ(root.section("a").get_string("s", ""), "plain text");
  EXPECT_EQ(root.section("b").section("c").get_double("x", 0), 2.5);
  EXPECT_EQ(root.section("a").get_strings("l"), std::vector<std::string>{"u"});
  root.apply_override("a.typo=1");
  EXPECT_NE(error_of([&] { root.reject_unknown(); }).find("unknown key a.typo"), std::string::npos);
  for (const char* bad : {"a.n", "=3", "a.n.x=1", "a.=1"})
    EXPECT_NE(error_of([&] { root.apply_override(bad); }), "") << bad;
}

TEST(TomlReader, NearestName) {
  const std::vector<std::string> names = {"warmup_steps", "weight_decay", "batch_size"};
  EXPECT_EQ(nearest_name("warmup_step", names), "warmup_steps");
  EXPECT_EQ(nearest_name("batchsize", names), "batch_size");
  EXPECT_EQ(nearest_name("bacth_size", names), "batch_size");
  EXPECT_EQ(nearest_name("temperature", names), "");
}

TEST(TomlReader, ErrorsCarryTheCallersArea) {
  EXPECT_TRUE(
      error_of([] { TomlTable::parse("a = = 1\n", "p.toml", "prices"); }).starts_with("[prices] p.toml:1"));
  TomlTable root = TomlTable::parse("n = 3\nt = [1]\n", "p.toml", "prices");
  for (const auto& error :
       {error_of([&] { root.get_string("n", ""); }), error_of([&] { root.get_strings("t"); }),
        error_of([&] { root.tables("n"); }), error_of([&] { root.section("n"); }),
        error_of([&] { root.fail("n", "is odd"); }), error_of([&] { root.reject_unknown(); }),
        error_of([&] { root.apply_override("nothing"); })}) {
    EXPECT_TRUE(error.empty() || error.starts_with("[prices] ")) << error;
  }
  EXPECT_EQ(error_of([&] { root.get_string("n", ""); }),
            "[prices] p.toml:1: n: expected a string, found integer");
}

}  // namespace
}  // namespace hadal::base
