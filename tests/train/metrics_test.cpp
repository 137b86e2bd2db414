#include "train/metrics.h"

#include <gtest/gtest.h>

#include "ledger/run_cost.h"
#include "train/report.h"
#include "train/tiny_run.h"

namespace hadal::train {
namespace {

TEST(MetricsLog, DropsWhatCameAfterTheCheckpointAndHalfALine) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "metrics.jsonl";
  test::spill(path, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4}\n{\"st");
  {
    MetricsLog log(path, 2);
    EXPECT_EQ(log.dropped_steps(), 2);
    log.append({{"step", 3}, {"again", true}});
  }
  EXPECT_EQ(test::slurp(path), "{\"step\":1}\n{\"step\":2}\n{\"again\":true,\"step\":3}\n");
}

TEST(MetricsLog, ReadingLeavesOutDamagedLines) {
  const test::TemporaryFolder folder;
  test::spill(folder / "m", "{\"step\":1}\nnonsense\n[1]\n{\"step\":\"x\"}\n{\"step\":2}\n{\"step\":3}");
  EXPECT_EQ(read_metrics(folder / "m").size(), 2u);
}

TEST(Report, IsOneFileThatNothingInTheDataCanBreak) {
  const test::TemporaryFolder run;
  {
    MetricsLog log(run / "metrics.jsonl", 0);
    for (int i = 1; i <= 2000; ++i) {
      log.append({{"step", i}, {"tokens", i}, {"loss", 10.0 / i}, {"expert_load", {{0.5, 1.5}, {1.0, 1.0}}}});
    }
  }
  test::spill(run / "recipe.toml", "# </script><script>alert(1)</script>\n");
  write_report(run.path());
  const std::string page = test::slurp(run / "report.html");
  EXPECT_EQ(page.find("</script><script>alert"), std::string::npos);
  EXPECT_EQ(page.find("__DATA__"), std::string::npos);
  for (const char* reference : {"src=", "href=", "@import", "url(", "fetch("}) {
    EXPECT_EQ(page.find(reference), std::string::npos) << reference;
  }
}

TEST(Report, CurvesAreMeansOverEqualRanges) {
  std::vector<base::Json> metrics;
  for (int i = 1; i <= 10; ++i) metrics.push_back({{"step", i}, {"loss", i}, {"expert_load", {{0.5, 1.5}}}});
  const base::Json data = report_data(metrics, 5);
  EXPECT_EQ(data["curves"]["loss"]["x"], (base::Json{2.0, 4.0, 6.0, 8.0, 10.0}));
  EXPECT_EQ(data["curves"]["loss"]["y"], (base::Json{1.5, 3.5, 5.5, 7.5, 9.5}));
  EXPECT_EQ(data["heat"]["layers"][0][1][9], 1.5);
  EXPECT_TRUE(data["curves"]["val_bpb"]["x"].empty());
  EXPECT_TRUE(report_data({}, 5)["heat"]["layers"].empty());
}

TEST(RunCost, CountsSessionsKillsAndWastedSteps) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "ledger.json";
  {
    ledger::RunCost cost(path, "pretrain", 0, 0);
    cost.add_step(100, 6e6, 2);
    cost.add_step(100, 6e6, 2);
    cost.write("running");  // and then a kill -9
  }
  {
    ledger::RunCost cost(path, "pretrain", 1, 1);
    cost.add_step(100, 6e6, 2);
    cost.add_overhead(1);
    cost.write("stopped");
  }
  ledger::RunCost cost(path, "pretrain", 2, 0);
  cost.write("finished");
  const base::Json json = base::Json::parse(test::slurp(path));
  EXPECT_EQ(json["sessions"][0]["ended"], "killed");
  EXPECT_EQ(json["sessions"][1]["ended"], "stopped");
  EXPECT_EQ(json["total"]["sessions"], 3);
  EXPECT_EQ(json["total"]["interruptions"], 2);
  EXPECT_EQ(json["total"]["wasted_steps"], 1);
  EXPECT_EQ(json["total"]["steps"], 3);
  EXPECT_EQ(json["total"]["tokens"], 300);
  EXPECT_EQ(json["total"]["flops"], 18e6);
  EXPECT_EQ(json["total"]["step_seconds"], 6);
  EXPECT_EQ(json["total"]["overhead_seconds"], 1);
}

}  // namespace
}  // namespace hadal::train
