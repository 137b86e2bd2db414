// The report card from results as `hadal eval tasks` writes them, and from damaged ones.
#include "eval/card.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/task_run.h"

namespace hadal::eval {
namespace {

base::Json results(double pass, int samples = 16, float temperature = 1) {
  TaskRunResult r;
  r.task = "sums:2";
  r.about = "the sum of two whole numbers; 2 digits";
  r.prompt_template = "short";
  r.problems = 100;
  r.samples = samples;
  r.pass_at_1 = {pass, pass - 0.05, pass + 0.05};
  for (int k = 1; k <= samples; k *= 4) r.pass_at[k] = {std::min(1.0, pass + 0.02 * k), pass - 0.05, 1};
  r.majority = {pass, 0, 1};
  const auto problem = open_task("sums:2")->problem(Split::kHeldOut, 0, 0);
  Sample sample;
  sample.text = "<think>a | b & \"c\"</think><answer><script>alert(1)</script></answer>";
  sample.correct = pass > 0.5;
  r.shown = {{problem, sample}};
  return {{"format", "hadal-eval-tasks"},
          {"version", 1},
          {"model", "runs/<b>x</b>"},
          {"parameters", 1'000'000},
          {"seed", 7},
          {"sampling", {{"temperature", temperature}, {"top_p", 1}, {"max_tokens", 64}}},
          {"tasks", {to_json(r)}}};
}

std::vector<CardStage> stages() {
  return {parse_card_stage("base", results(0.1), "a.json"), parse_card_stage("zero", results(0.8), "b.json")};
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(Card, MarkdownHasAllStagesSideBySide) {
  const std::string card = card_markdown(stages(), "R1 in miniature");
  EXPECT_EQ(card.find("# R1 in miniature"), 0u);
  EXPECT_NE(card.find("| base | 10.0 % [5.0, 15.0] | 18.0 % [5.0, 100.0] |"), std::string::npos) << card;
  EXPECT_NE(card.find("| zero | 80.0 % [75.0, 85.0] |"), std::string::npos);
  EXPECT_NE(card.find("pass@16"), std::string::npos);
  EXPECT_EQ(count(card, "- wrong: "), 1u);
  EXPECT_EQ(count(card, "- right: "), 1u);
  EXPECT_EQ(card.find("Not alike"), std::string::npos);
  EXPECT_EQ(card.find("<script>"), std::string::npos) << "a sample is text, not page";
}

TEST(Card, HtmlIsOnePageWithPlotsAndWithoutScripts) {
  const std::string page = card_html(stages(), "R1 & more");
  EXPECT_EQ(page.find("<!doctype html>"), 0u);
  EXPECT_NE(page.find("R1 &amp; more"), std::string::npos);
  EXPECT_EQ(count(page, "<svg"), 2u);
  EXPECT_EQ(count(page, "<rect"), 2u);
  EXPECT_EQ(count(page, "<script"), 0u);
  EXPECT_EQ(count(page, "<b>x"), 0u);
  EXPECT_EQ(count(page, "http"), 0u) << "needs nothing else";
  EXPECT_NE(page.find("&lt;script&gt;alert"), std::string::npos);
  EXPECT_EQ(count(page, "<div"), count(page, "</div>"));
  EXPECT_EQ(count(page, "<figure"), count(page, "</figure>"));
}

TEST(Card, TellsWhatIsNotAlike) {
  auto two = stages();
  two[1] = parse_card_stage("zero", results(0.8, 4, 0.5f), "b.json");
  two[1].tasks[0].problems = 50;
  const auto differences = card_differences(two);
  ASSERT_EQ(differences.size(), 3u);
  EXPECT_NE(differences[0].find("temperature 1"), std::string::npos);
  EXPECT_NE(card_markdown(two, "x").find("**Not alike:** sums:2, problems"), std::string::npos);
  EXPECT_NE(card_html(two, "x").find("Not alike: sums:2, samples"), std::string::npos);
  two[1].tasks[0].name = "sums:3";
  EXPECT_EQ(card_sections(two).size(), 2u);
  EXPECT_NE(card_differences(two).back().find("1 of 2 stages"), std::string::npos);
}

TEST(Card, OneSampleHasNoCurve) {
  const std::vector<CardStage> one = {parse_card_stage("greedy", results(0.4, 1, 0), "a.json")};
  EXPECT_EQ(count(card_html(one, "x"), "<svg"), 1u);
}

TEST(Card, RefusesWhatIsNoResultFile) {
  const auto refused = [](const base::Json& json, const std::string& part) {
    try {
      parse_card_stage("x", json, "bad.json");
      ADD_FAILURE() << "taken: " << json;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_NE(std::string(error.what()).find("bad.json"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused(base::Json::array(), "not a file of");
  refused({{"format", "other"}}, "not a file of");
  base::Json json = results(0.5);
  json["version"] = 2;
  refused(json, "version 2");
  json = results(0.5);
  json["tasks"] = base::Json::array();
  refused(json, "no list of 1 to");
  json = results(0.5);
  json["tasks"][0]["pass_at_1"]["value"] = 1.5;
  refused(json, "not within [0, 1]");
  json = results(0.5);
  json["tasks"][0]["pass_at"] = {{"many", {{"value", 1}, {"low", 0}, {"high", 1}}}};
  refused(json, "no number of samples");
  // Any field that is gone or of another type.
  const base::Json good = results(0.5);
  for (const auto& [key, value] : good.items()) {
    json = good;
    json.erase(key);
    EXPECT_THROW(parse_card_stage("x", json, "bad.json"), Error) << key;
    json[key] = base::Json::object();
    EXPECT_THROW(parse_card_stage("x", json, "bad.json"), Error) << key;
  }
}

}  // namespace
}  // namespace hadal::eval
