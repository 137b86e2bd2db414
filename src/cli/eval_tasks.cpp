// hadal eval tasks, problems and sandbox: how often a model solves problems that a program can check.
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/sampling_flags.h"
#include "engine/engine.h"
#include "eval/task_run.h"
#include "eval/verify/program_tests.h"

namespace hadal::cli {
namespace {

constexpr int64_t kFormatVersion = 1;

struct TaskFlags {
  std::vector<std::string> tasks;
  std::string split = "held-out";
  bool skip_bad_lines = false;
};

void add_task_flags(CLI::App& command, TaskFlags& flags) {
  command
      .add_option("--task", flags.tasks,
                  "NAME:LEVEL, NAME:LOW-HIGH or jsonl:PATH (may be given several times); --list shows them")
      ->allow_extra_args(false);
  command.add_option("--split", flags.split, "held-out (no training run sees these problems), train or all")
      ->check(CLI::IsMember({"held-out", "train", "all"}))
      ->capture_default_str();
  command.add_flag("--skip-bad-lines", flags.skip_bad_lines,
                   "of a jsonl task: count them instead of refusing");
}

void list_tasks() {
  for (const eval::TaskKind& kind : eval::task_kinds()) {
    std::printf("%s: %s\n", std::string(kind.name).c_str(), std::string(kind.about).c_str());
    for (size_t i = 0; i < kind.levels.size(); ++i) {
      const auto task = eval::open_task(fmt::format("{}:{}", kind.name, i + 1));
      const eval::Problem problem = task->problem(eval::Split::kTrain, 0, 0);
      std::printf("  %s:%zu  %s   %s -> %s\n", std::string(kind.name).c_str(), i + 1,
                  std::string(kind.levels[i]).c_str(), problem.brief.c_str(), problem.answer.c_str());
    }
  }
  std::printf("jsonl:PATH: a file of {\"question\": ..., \"answer\": ...} lines\n");
}

std::vector<std::unique_ptr<eval::Task>> open_tasks(const TaskFlags& flags) {
  if (flags.tasks.empty())
    throw_error(ErrorCode::kBadInput, "[eval] no --task; take --task sums:2, or --list to see what there is");
  std::vector<std::unique_ptr<eval::Task>> out;
  for (const std::string& spec : flags.tasks) out.push_back(eval::open_task(spec, {flags.skip_bad_lines}));
  return out;
}

// ---- hadal eval tasks -------------------------------------------------------------------------------------

struct RunFlags {
  TaskFlags tasks;
  bool list = false;
  EngineFlags engine;
  eval::TaskRunOptions run;
  std::vector<int> ks;
  std::string out;
  std::string samples_out;
  bool json = false;
};

std::string percent(const eval::Estimate& e) {
  return fmt::format("{:5.1f} %  [{:.1f}, {:.1f}]", 100 * e.value, 100 * e.low, 100 * e.high);
}

void print_result(const eval::TaskRunResult& r) {
  std::printf("%s  (%s; %s, %zu problems, %d sample%s of each, prompt %s)\n", r.task.c_str(), r.about.c_str(),
              std::string(eval::split_name(r.split)).c_str(), r.problems, r.samples,
              r.samples == 1 ? "" : "s", r.prompt_template.c_str());
  const auto row = [](const std::string& name, const std::string& value) {
    std::printf("  %-16s %s\n", name.c_str(), value.c_str());
  };
  row("pass@1", percent(r.pass_at_1));
  for (const auto& [k, estimate] : r.pass_at)
    if (k > 1) row(fmt::format("pass@{}", k), percent(estimate));
  if (r.samples > 1) row(fmt::format("majority of {}", r.samples), percent(r.majority));
  if (r.by_level.size() > 1)
    for (const auto& [level, estimate] : r.by_level) row(fmt::format("  level {}", level), percent(estimate));
  row("answered", percent(r.answered));
  row("well formed", percent(r.well_formed));
  row("ended by itself", percent(r.finished));
  row("tokens", fmt::format("{:.1f} a sample, {} in {:.1f} s ({:.0f} a second)", r.mean_tokens, r.tokens,
                            r.seconds, r.seconds > 0 ? static_cast<double>(r.tokens) / r.seconds : 0));
}

base::Json run_settings(const RunFlags& flags, const engine::Engine& engine) {
  const auto& s = flags.run.sampling;
  return {{"format", "hadal-eval-tasks"},
          {"version", kFormatVersion},
          {"model", flags.engine.model},
          {"architecture", engine.info().architecture},
          {"parameters", engine.info().parameters},
          {"active_parameters", engine.info().active_parameters},
          {"greedy", s.temperature == 0},
          {"seed", flags.run.seed},
          {"sampling",
           {{"temperature", s.temperature},
            {"top_k", s.top_k},
            {"top_p", s.top_p},
            {"min_p", s.min_p},
            {"max_tokens", s.max_tokens}}},
          {"exact", flags.engine.options.exact},
          {"kv_type", flags.engine.options.kv_type},
          {"threads", flags.engine.options.threads}};
}

// What to type to get the same bits again.
std::string again(const RunFlags& flags) {
  const auto& s = flags.run.sampling;
  if (s.temperature == 0)
    return fmt::format("greedy: --temperature 0 --seed {} (of the problems)", flags.run.seed);
  return fmt::format("seeded: --temperature {} --seed {}", s.temperature, flags.run.seed);
}

void run_tasks(RunFlags& flags) {
  if (flags.list) return list_tasks();
  if (flags.engine.model.empty()) throw_error(ErrorCode::kBadInput, "[eval] no --model");
  const auto tasks = open_tasks(flags.tasks);
  flags.run.split = eval::parse_split(flags.tasks.split);
  if (flags.ks.empty())
    for (int k = 1; k <= flags.run.samples; k *= 4) flags.run.ks.push_back(k);
  else
    flags.run.ks = flags.ks;
  std::sort(flags.run.ks.begin(), flags.run.ks.end());
  flags.run.ks.erase(std::unique(flags.run.ks.begin(), flags.run.ks.end()), flags.run.ks.end());

  flags.engine.options.max_running = static_cast<int>(flags.run.in_flight);
  flags.engine.options.max_queue =
      2 * static_cast<int>(flags.run.in_flight) + 16;  // its last eighth is for others
  const auto engine = engine::Engine::open(flags.engine.model, flags.engine.options);
  std::unique_ptr<base::AtomicFile> samples;
  if (!flags.samples_out.empty()) samples = std::make_unique<base::AtomicFile>(flags.samples_out);
  flags.run.on_sample = [&](const eval::Problem& problem, const eval::Sample& sample) {
    if (samples) samples->write(base::dump_json(to_json(problem, sample)) + "\n");
  };
  const InterruptGuard guard;
  flags.run.stopped = [] { return InterruptGuard::interrupted(); };

  base::Json all = run_settings(flags, *engine);
  all["tasks"] = base::Json::array();
  bool stopped = false;
  std::optional<Error> failure;
  for (const auto& task : tasks) {
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (terminal) {
      flags.run.progress = [&](int64_t done, int64_t total) {
        const int64_t filled = 30 * done / std::max<int64_t>(total, 1);
        std::fprintf(stderr, "\r%s [%-30s] %lld/%lld samples", task->name().c_str(),
                     std::string(static_cast<size_t>(filled), '#').c_str(), static_cast<long long>(done),
                     static_cast<long long>(total));
      };
    }
    eval::TaskRunResult result;
    try {
      result = eval::run_task(*engine, *task, flags.run);
    } catch (const Error& e) {  // what was measured before it is not lost
      if (terminal) std::fputs("\r\033[K", stderr);
      if (all["tasks"].empty()) throw;
      failure = Error(e.code(), fmt::format("[eval] {}: {}; the results of the tasks before it are kept",
                                            task->name(), e.what()));
      all["failed"] = {{"task", task->name()}, {"error", e.what()}};
      break;
    }
    if (terminal) std::fputs("\r\033[K", stderr);
    if (!flags.json) print_result(result);
    all["tasks"].push_back(to_json(result));
    stopped = stopped || result.stopped;
    if (stopped) break;
  }
  if (!flags.json) std::printf("same bits again: %s\n", again(flags).c_str());
  if (flags.json) std::printf("%s\n", base::dump_json(all).c_str());
  if (!flags.out.empty()) base::write_file_atomic(flags.out, base::dump_json(all, 1) + "\n");
  if (samples) samples->commit();
  if (failure) throw *failure;
  if (stopped)
    throw_error(ErrorCode::kCancelled, "interrupted; the numbers are of the problems that were complete");
}

void add_run(CLI::App& eval) {
  CLI::App* command = add_command(
      eval, "tasks",
      "Share of problems that a model solves: pass@1, pass@k, majority vote, with 95 % intervals",
      "  hadal eval tasks --list\n"
      "  hadal eval tasks --model runs/zero/model --task sums:2 --samples 16 --out zero.json\n"
      "  hadal eval tasks --model M --task countdown:1-3 --samples 64 --k 1,4,16,64 --samples-out "
      "samples.jsonl\n"
      "  hadal eval tasks --model M --task jsonl:questions.jsonl --split all --temperature 0 --json");
  const auto flags = std::make_shared<RunFlags>();
  add_engine_flags(*command, flags->engine);
  command->get_option("--model")->required(false);  // --list needs none
  add_task_flags(*command, flags->tasks);
  command->add_flag("--list", flags->list, "show the tasks and their levels, with an example of each");
  auto& run = flags->run;
  run.sampling.max_tokens = 256;
  command->add_option("--problems", run.problems, "how many; all different")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--samples", run.samples, "of each problem")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command->add_option("--k", flags->ks, "of pass@k, each at most --samples; default: 1, 4, 16, ...")
      ->delimiter(',');
  command->add_option("--prompt", run.prompt_template,
                      "prompt template: r1, short, brief, direct or chat; default: by the model");
  command->add_option("--temperature", run.sampling.temperature, "0: greedy, with --samples 1")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command->add_option("--top-p", run.sampling.top_p, "only the likeliest tokens that together reach this")
      ->capture_default_str();
  command->add_option("--top-k", run.sampling.top_k, "only the k likeliest tokens; 0: off")
      ->capture_default_str();
  command->add_option("--max-tokens", run.sampling.max_tokens, "of a sample")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--seed", run.seed, "of problems and samples: the same seed, the same bits")
      ->capture_default_str();
  command->add_option("--in-flight", run.in_flight, "samples that share the model at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--out", flags->out, "write the results as JSON (for hadal eval card)");
  command->add_option("--samples-out", flags->samples_out, "write every sample as a line of JSON");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->callback([flags] { run_tasks(*flags); });
}

// ---- hadal eval problems ----------------------------------------------------------------------------------

struct ProblemFlags {
  TaskFlags tasks;
  size_t count = 100;
  uint64_t seed = 0;
  std::string prompt;
};

void print_problems(const ProblemFlags& flags) {
  const eval::Split split = eval::parse_split(flags.tasks.split);
  const eval::PromptTemplate* prompt =
      flags.prompt.empty() ? nullptr : &eval::find_prompt_template(flags.prompt);
  for (const auto& task : open_tasks(flags.tasks)) {
    for (const eval::Problem& problem : distinct_problems(*task, split, flags.seed, flags.count)) {
      base::Json line = to_json(problem);
      if (prompt != nullptr) {
        line["prompt"] = prompt->render(problem);
        line["completion"] = worked_completion(*prompt, problem);
      }
      std::printf("%s\n", base::dump_json(line).c_str());
    }
  }
}

void add_problems(CLI::App& eval) {
  CLI::App* command =
      add_command(eval, "problems", "Write problems of a task, one JSON object a line",
                  "  hadal eval problems --task sums:1-3 --split train --count 10000 > train.jsonl\n"
                  "  hadal eval problems --task countdown:2 --split held-out --prompt short --count 5");
  const auto flags = std::make_shared<ProblemFlags>();
  add_task_flags(*command, flags->tasks);
  command->add_option("--count", flags->count, "of each task; all different")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "another seed, other problems")->capture_default_str();
  command->add_option(
      "--prompt", flags->prompt,
      "add the prompt by this template (r1, short, brief, direct, chat), and a worked completion");
  command->callback([flags] { print_problems(*flags); });
}

// ---- hadal eval sandbox -----------------------------------------------------------------------------------

struct SandboxFlags {
  std::string program;
  std::string language = "python";
  eval::SandboxLimits limits;
};

void run_sandbox(const SandboxFlags& flags) {
  const eval::Sandbox sandbox(flags.limits);
  if (flags.program.empty()) {
    std::printf("the sandbox works (user %d)\n", static_cast<int>(::getuid()));
    return;
  }
  const eval::SandboxResult result = sandbox.run(flags.language, base::read_file(flags.program));
  const base::Json json = {{"end", sandbox_end_name(result.end)},
                           {"status", result.status},
                           {"output", result.output},
                           {"errors", result.errors},
                           {"seconds", result.seconds},
                           {"peak_memory_bytes", result.peak_memory_bytes}};
  std::printf("%s\n", base::dump_json(json).c_str());
}

void add_sandbox(CLI::App& eval) {
  CLI::App* command = add_command(eval, "sandbox", "Check that programs can be tested here, or run one",
                                  "  hadal eval sandbox\n"
                                  "  hadal eval sandbox --program answer.py --seconds 2 --memory 128M");
  const auto flags = std::make_shared<SandboxFlags>();
  command->add_option("--program", flags->program, "run this file, and print what came of it as JSON");
  command->add_option("--language", flags->language, "python or sh")
      ->check(CLI::IsMember({"python", "sh"}))
      ->capture_default_str();
  command->add_option("--seconds", flags->limits.seconds, "by the clock")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  add_bytes_option(*command, "--memory", flags->limits.memory_bytes, "of all its processes");
  command->add_option("--processes", flags->limits.processes, "and threads, at a time")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  command->callback([flags] { run_sandbox(*flags); });
}

}  // namespace

void add_eval_tasks(CLI::App& eval) {
  add_run(eval);
  add_problems(eval);
  add_sandbox(eval);
}

}  // namespace hadal::cli
