#include "eval/card.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace hadal::eval {
namespace {

constexpr size_t kMaxTasks = 1000, kMaxShown = 50;
constexpr size_t kShownInMarkdown = 3;
constexpr size_t kMaxMarkdownText = 400;

Estimate estimate_of(const base::Json& json) {
  const Estimate out = {json.at("value").get<double>(), json.at("low").get<double>(),
                        json.at("high").get<double>()};
  for (const double x : {out.value, out.low, out.high})
    if (!(x >= 0 && x <= 1)) throw_error(ErrorCode::kBadInput, "an estimate of {} is not within [0, 1]", x);
  return out;
}

std::string optional_text(const base::Json& json, const char* name) {
  return json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
}

CardTask parse_task(const base::Json& json) {
  CardTask out;
  out.name = json.at("task").get<std::string>();
  out.about = json.at("about").get<std::string>();
  out.split = json.at("split").get<std::string>();
  out.prompt_template = json.at("prompt_template").get<std::string>();
  out.problems = json.at("problems").get<int64_t>();
  out.samples = json.at("samples").get<int64_t>();
  out.interrupted = json.at("interrupted").get<bool>();
  out.pass_at_1 = estimate_of(json.at("pass_at_1"));
  out.majority = estimate_of(json.at("majority"));
  out.well_formed = estimate_of(json.at("well_formed"));
  out.finished = estimate_of(json.at("finished"));
  out.mean_tokens = json.at("mean_tokens").get<double>();
  for (const auto& [k, estimate] : json.at("pass_at").items()) {
    const int number = std::atoi(k.c_str());
    if (number < 1) throw_error(ErrorCode::kBadInput, "pass_at '{}' is no number of samples", k);
    out.pass_at[number] = estimate_of(estimate);
  }
  for (const base::Json& sample : json.at("shown")) {
    if (out.shown.size() == kMaxShown) break;
    out.shown.push_back({optional_text(sample, "brief"), optional_text(sample, "question"),
                         optional_text(sample, "reference"), sample.at("text").get<std::string>(),
                         optional_text(sample, "reasoning"), sample.at("correct").get<bool>()});
  }
  return out;
}

// A cell of a Markdown table, or a line of its text: no table mark, no line break, not endless.
std::string markdown_cell(std::string text) {
  if (text.size() > kMaxMarkdownText) {
    size_t end = kMaxMarkdownText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end) + " ...";
  }
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
      continue;
    }
    if (c == '|' || c == '`' || c == '\\' || c == '*' || c == '_') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

std::string markdown_table(const CardSection& section) {
  std::set<int> ks;
  for (const CardRow& row : section.rows)
    for (const auto& [k, estimate] : row.task->pass_at)
      if (k > 1) ks.insert(k);
  std::string head = "| stage | pass@1 |", line = "|---|---|";
  for (const int k : ks) {
    head += fmt::format(" pass@{} |", k);
    line += "---|";
  }
  std::string out = head + " majority | well formed | ended | tokens | problems x samples |\n" + line +
                    "---|---|---|---|---|\n";
  for (const auto& [stage, task] : section.rows) {
    out += fmt::format("| {} | {} |", markdown_cell(stage->name), estimate_text(task->pass_at_1));
    for (const int k : ks) {
      const auto found = task->pass_at.find(k);
      out += found == task->pass_at.end() ? " |" : fmt::format(" {} |", estimate_text(found->second));
    }
    out += fmt::format(" {} | {:.1f} % | {:.1f} % | {:.1f} | {} x {}{} |\n",
                       task->samples > 1 ? estimate_text(task->majority) : "", 100 * task->well_formed.value,
                       100 * task->finished.value, task->mean_tokens, task->problems, task->samples,
                       task->interrupted ? " (interrupted)" : "");
  }
  return out;
}

}  // namespace

std::string estimate_text(const Estimate& e) {
  return fmt::format("{:.1f} % [{:.1f}, {:.1f}]", 100 * e.value, 100 * e.low, 100 * e.high);
}

CardStage parse_card_stage(const std::string& name, const base::Json& results, const std::string& where) {
  try {
    if (!results.is_object() || optional_text(results, "format") != "hadal-eval-tasks")
      throw_error(ErrorCode::kBadInput, "not a file of `hadal eval tasks --out`");
    if (results.at("version").get<int64_t>() != 1)
      throw_error(ErrorCode::kBadInput, "version {}, and this program knows 1",
                  results.at("version").get<int64_t>());
    CardStage out;
    out.name = name;
    out.model = results.at("model").get<std::string>();
    out.parameters = results.at("parameters").get<int64_t>();
    const base::Json& sampling = results.at("sampling");
    out.how = fmt::format("temperature {}, top-p {}, at most {} tokens, seed {}",
                          sampling.at("temperature").get<float>(), sampling.at("top_p").get<float>(),
                          sampling.at("max_tokens").get<int64_t>(), results.at("seed").get<uint64_t>());
    const base::Json& tasks = results.at("tasks");
    if (!tasks.is_array() || tasks.empty() || tasks.size() > kMaxTasks)
      throw_error(ErrorCode::kBadInput, "no list of 1 to {} tasks", kMaxTasks);
    for (const base::Json& task : tasks) out.tasks.push_back(parse_task(task));
    return out;
  } catch (const base::Json::exception& error) {
    throw_error(ErrorCode::kBadInput, "[card] {}: {}", where, error.what());
  } catch (const Error& error) {
    throw_error(ErrorCode::kBadInput, "[card] {}: {}", where, error.what());
  }
}

std::vector<CardSection> card_sections(std::span<const CardStage> stages) {
  std::vector<CardSection> out;
  for (const CardStage& stage : stages) {
    for (const CardTask& task : stage.tasks) {
      auto found =
          std::find_if(out.begin(), out.end(), [&](const CardSection& s) { return s.task == task.name; });
      if (found == out.end()) found = out.insert(out.end(), {task.name, task.about, {}});
      found->rows.push_back({&stage, &task});
    }
  }
  return out;
}

std::vector<std::string> card_differences(std::span<const CardStage> stages) {
  std::vector<std::string> out;
  const auto compare = [&](const std::string& what, const std::string& a, const std::string& b,
                           const CardStage& first, const CardStage& other) {
    if (a != b) out.push_back(fmt::format("{}: {} has {}, {} has {}", what, first.name, a, other.name, b));
  };
  for (const CardStage& stage : stages) compare("sampling", stages[0].how, stage.how, stages[0], stage);
  for (const CardSection& section : card_sections(stages)) {
    const CardRow& first = section.rows[0];
    for (const CardRow& row : section.rows) {
      const auto differ = [&](const char* what, const std::string& a, const std::string& b) {
        compare(section.task + ", " + what, a, b, *first.stage, *row.stage);
      };
      differ("problems", std::to_string(first.task->problems), std::to_string(row.task->problems));
      differ("samples", std::to_string(first.task->samples), std::to_string(row.task->samples));
      differ("prompt", first.task->prompt_template, row.task->prompt_template);
      differ("split", first.task->split, row.task->split);
    }
    if (section.rows.size() < stages.size())
      out.push_back(
          fmt::format("{}: {} of {} stages have it", section.task, section.rows.size(), stages.size()));
  }
  return out;
}

std::string card_markdown(std::span<const CardStage> stages, const std::string& title) {
  std::string out = fmt::format("# {}\n\n| stage | model | parameters | sampling |\n|---|---|---|---|\n",
                                markdown_cell(title));
  for (const CardStage& stage : stages)
    out += fmt::format("| {} | {} | {} | {} |\n", markdown_cell(stage.name), markdown_cell(stage.model),
                       stage.parameters, stage.how);
  out += "\nIn brackets: 95 % intervals over problems.\n";
  for (const std::string& difference : card_differences(stages))
    out += fmt::format("\n**Not alike:** {}.\n", markdown_cell(difference));
  for (const CardSection& section : card_sections(stages)) {
    out += fmt::format("\n## {}\n\n{}\n\n{}", markdown_cell(section.task), markdown_cell(section.about),
                       markdown_table(section));
    out += "\n### Samples as they are\n";
    for (const auto& [stage, task] : section.rows) {
      out += fmt::format("\n{}:\n\n", markdown_cell(stage->name));
      for (size_t i = 0; i < std::min(kShownInMarkdown, task->shown.size()); ++i) {
        const CardSample& sample = task->shown[i];
        const std::string thought =
            sample.reasoning.empty() || sample.text.find("<think>") != std::string::npos
                ? ""
                : "(thinks) " + sample.reasoning + " (says) ";
        out += fmt::format("- {}: {} → {}\n", sample.correct ? "right" : "wrong", markdown_cell(sample.brief),
                           markdown_cell(thought + sample.text));
      }
    }
  }
  return out;
}

}  // namespace hadal::eval
