#include "eval/task_run.h"

#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/clock.h"
#include "base/error.h"

namespace hadal::eval {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(50);
constexpr size_t kShown = 12;

// What one request has said so far, and when it ended.
struct Flight {
  size_t problem = 0;
  int number = 0;
  uint64_t seed = 0;
  engine::RequestId id = 0;
  std::string text, reasoning, stop_string;
  int64_t tokens = 0;
  engine::Finish finish = engine::Finish::kStop;
  std::string error;
};

// Where the engine's thread leaves what has ended. Shared with the handlers, which may outlive the run.
struct Inbox {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<std::shared_ptr<Flight>> ended;
};

void on_event(Inbox& inbox, const std::shared_ptr<Flight>& flight, const engine::Event& event) {
  flight->text += event.text;
  flight->reasoning += event.reasoning;
  flight->tokens += static_cast<int64_t>(event.tokens.size());
  if (!event.finish) return;
  flight->finish = *event.finish;
  flight->stop_string = event.stop_string;
  flight->error = event.error;
  const std::lock_guard lock(inbox.mutex);
  inbox.ended.push_back(flight);
  inbox.arrived.notify_one();
}

uint64_t sample_seed(uint64_t seed, const Problem& problem, int number) {
  uint64_t state = seed ^ XXH3_64bits(problem.key.data(), problem.key.size());
  state = base::splitmix64(state) + static_cast<uint64_t>(number);
  return base::splitmix64(state);
}

class Runner {
 public:
  Runner(engine::Engine& engine, const Task& task, const TaskRunOptions& options)
      : engine_(engine), options_(options), template_(choose_template()) {
    check();
    problems_ = distinct_problems(task, options.split, options.seed, options.problems);
    if (problems_.empty()) {
      throw_error(ErrorCode::kBadInput, "[eval] {} has no problems on the {} side; take --split all",
                  task.name(), split_name(options.split));
    }
    result_.task = task.name();
    result_.about = task.about();
    result_.split = options.split;
    result_.prompt_template = template_.name;
    result_.samples = options.samples;
  }

  TaskRunResult run() {
    const double began = base::monotonic_seconds();
    samples_.resize(problems_.size());
    try {
      collect();
    } catch (...) {
      for (const auto& [id, flight] : flying_) engine_.cancel(id);
      throw;
    }
    summarise();
    result_.seconds = base::monotonic_seconds() - began;
    return std::move(result_);
  }

 private:
  const PromptTemplate& choose_template() const {
    if (!options_.prompt_template.empty()) return find_prompt_template(options_.prompt_template);
    return find_prompt_template(engine_.chat_format() != nullptr ? "chat" : "r1");
  }

  void check() const {
    if (options_.samples < 1 || options_.problems < 1)
      throw_error(ErrorCode::kBadInput, "[eval] {} samples of {} problems; take at least one",
                  options_.samples, options_.problems);
    if (options_.samples > 1 && options_.sampling.temperature == 0) {
      throw_error(ErrorCode::kBadInput,
                  "[eval] temperature 0 gives the same answer {} times; take --samples 1 or a temperature",
                  options_.samples);
    }
    for (const int k : options_.ks) {
      if (k < 1 || k > options_.samples)
        throw_error(ErrorCode::kBadInput, "[eval] pass@{} needs {} samples of each problem, and there are {}",
                    k, k, options_.samples);
    }
    if (options_.sampling.max_tokens < 1)
      throw_error(ErrorCode::kBadInput, "[eval] max_tokens {}; take at least 1",
                  options_.sampling.max_tokens);
  }

  engine::Request request_of(const Problem& problem) const {
    const std::string prompt = template_.render(problem);
    engine::Request request;
    if (template_.chat) {
      const text::Message message{"user", prompt};
      request = engine::chat_request(engine_, {&message, 1});
    } else {
      request = engine::text_request(engine_, prompt);
    }
    request.sampling = options_.sampling;
    request.sampling.stop.clear();
    if (!template_.stop.empty()) request.sampling.stop.emplace_back(template_.stop);
    return request;
  }

  // Problem by problem, so that the samples of one share their prompt in the KV cache. False: the engine's
  // queue is full, and something of ours will leave it.
  bool submit_next() {
    const auto flight = std::make_shared<Flight>();
    flight->problem = next_ / static_cast<size_t>(options_.samples);
    flight->number = static_cast<int>(next_ % static_cast<size_t>(options_.samples));
    const Problem& problem = problems_[flight->problem];
    flight->seed = sample_seed(options_.seed, problem, flight->number);
    engine::Request request = request_of(problem);
    request.sampling.seed = flight->seed;
    try {
      flight->id = engine_.submit(std::move(request), [inbox = inbox_, flight](const engine::Event& event) {
        on_event(*inbox, flight, event);
      });
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kResource && !flying_.empty()) return false;
      throw;
    }
    flying_.emplace(flight->id, flight);
    ++next_;
    return true;
  }

  void collect() {
    const size_t total = problems_.size() * static_cast<size_t>(options_.samples);
    while (!flying_.empty() || (next_ < total && !result_.stopped)) {
      while (next_ < total && flying_.size() < options_.in_flight && !result_.stopped && submit_next()) {
      }
      std::deque<std::shared_ptr<Flight>> ended;
      {
        std::unique_lock lock(inbox_->mutex);
        inbox_->arrived.wait_for(lock, kPoll, [&] { return !inbox_->ended.empty(); });
        ended.swap(inbox_->ended);
      }
      for (const auto& flight : ended) {
        flying_.erase(flight->id);
        take(*flight);
      }
      if (!ended.empty() && options_.progress)
        options_.progress(static_cast<int64_t>(done_), static_cast<int64_t>(total));
      if (!result_.stopped && options_.stopped && options_.stopped()) {
        result_.stopped = true;
        for (const auto& [id, flight] : flying_) engine_.cancel(id);
      }
    }
  }

  void take(Flight& flight) {
    if (flight.finish == engine::Finish::kError)
      throw_error(ErrorCode::kInternal, "[eval] a sample failed: {}", flight.error);
    if (flight.finish == engine::Finish::kCancelled) return;
    const Problem& problem = problems_[flight.problem];
    Sample sample;
    sample.problem = flight.problem;
    sample.number = flight.number;
    sample.seed = flight.seed;
    sample.tokens = flight.tokens;
    sample.finished = flight.finish == engine::Finish::kStop;
    sample.text = std::move(flight.text) + flight.stop_string;  // it belongs to the answer
    // The engine took the reasoning apart: the parser gets the completion as the model wrote it.
    const bool thinks = !flight.reasoning.empty();
    std::string whole = flight.reasoning;
    if (thinks && !sample.text.empty()) whole += "</think>";
    whole += sample.text;
    const ParsedCompletion parsed = template_.parse(whole, thinks);
    sample.reasoning = flight.reasoning.empty() ? std::string(parsed.reasoning) : std::move(flight.reasoning);
    sample.answer = parsed.answer;
    sample.answered = parsed.answered;
    sample.well_formed = parsed.well_formed;
    sample.correct = parsed.answered && is_correct(problem, parsed.answer);
    samples_[flight.problem].push_back(std::move(sample));
    ++done_;
  }

  // Numbers per problem, each in [0, 1].
  struct Columns {
    std::vector<double> pass, majority, answered, well_formed, finished;
    std::map<int, std::vector<double>> pass_at;  // by k
    std::map<int, std::vector<double>> level;    // pass@1
  };

  void add(const Problem& problem, const std::vector<Sample>& samples, Columns* columns) {
    const auto n = static_cast<double>(samples.size());
    const auto share = [&](bool Sample::*what) {
      return static_cast<double>(
                 std::count_if(samples.begin(), samples.end(), [&](const Sample& s) { return s.*what; })) /
             n;
    };
    std::vector<Vote> votes;
    int64_t right = 0;
    for (const Sample& sample : samples) {
      votes.push_back({sample.answered ? answer_key(sample.answer) : "", sample.correct});
      right += sample.correct ? 1 : 0;
      result_.tokens += sample.tokens;
      if (options_.on_sample) options_.on_sample(problem, sample);
    }
    columns->pass.push_back(share(&Sample::correct));
    columns->majority.push_back(majority_vote(votes));
    columns->answered.push_back(share(&Sample::answered));
    columns->well_formed.push_back(share(&Sample::well_formed));
    columns->finished.push_back(share(&Sample::finished));
    columns->level[problem.level].push_back(columns->pass.back());
    for (const int k : options_.ks)
      columns->pass_at[k].push_back(pass_at_k(static_cast<int64_t>(samples.size()), right, k));
    if (result_.shown.size() < kShown) result_.shown.emplace_back(problem, samples[0]);
  }

  void summarise() {
    Columns columns;
    for (size_t i = 0; i < problems_.size(); ++i) {
      std::vector<Sample>& samples = samples_[i];
      if (samples.size() < static_cast<size_t>(options_.samples)) continue;  // stopped in its middle
      std::sort(samples.begin(), samples.end(),
                [](const Sample& a, const Sample& b) { return a.number < b.number; });
      add(problems_[i], samples, &columns);
    }
    result_.problems = columns.pass.size();
    result_.pass_at_1 = mean_estimate(columns.pass);
    result_.majority = mean_estimate(columns.majority);
    result_.answered = mean_estimate(columns.answered);
    result_.well_formed = mean_estimate(columns.well_formed);
    result_.finished = mean_estimate(columns.finished);
    for (const auto& [k, values] : columns.pass_at) result_.pass_at[k] = mean_estimate(values);
    for (const auto& [level, values] : columns.level) result_.by_level[level] = mean_estimate(values);
    const double count = static_cast<double>(result_.problems) * options_.samples;
    result_.mean_tokens = count > 0 ? static_cast<double>(result_.tokens) / count : 0;
  }

  engine::Engine& engine_;
  const TaskRunOptions& options_;
  const PromptTemplate& template_;
  std::vector<Problem> problems_;
  std::vector<std::vector<Sample>> samples_;  // [problems][as they ended]
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::unordered_map<engine::RequestId, std::shared_ptr<Flight>> flying_;
  size_t next_ = 0;  // sample to submit
  size_t done_ = 0;
  TaskRunResult result_;
};

base::Json to_json(const Estimate& e) { return {{"value", e.value}, {"low", e.low}, {"high", e.high}}; }

base::Json to_json(const std::map<int, Estimate>& by) {
  base::Json out = base::Json::object();
  for (const auto& [key, estimate] : by) out[std::to_string(key)] = to_json(estimate);
  return out;
}

}  // namespace

base::Json to_json(const Problem& problem, const Sample& sample) {
  base::Json out = {
      {"task", problem.task},        {"level", problem.level},
      {"problem", sample.problem},   {"sample", sample.number},
      {"seed", sample.seed},         {"question", problem.question},
      {"brief", problem.brief},      {"reference", problem.answer},
      {"text", sample.text},         {"answer", sample.answered ? base::Json(sample.answer) : base::Json()},
      {"correct", sample.correct},   {"well_formed", sample.well_formed},
      {"finished", sample.finished}, {"tokens", sample.tokens}};
  if (!sample.reasoning.empty()) out["reasoning"] = sample.reasoning;
  return out;
}

TaskRunResult run_task(engine::Engine& engine, const Task& task, const TaskRunOptions& options) {
  return Runner(engine, task, options).run();
}

base::Json to_json(const TaskRunResult& r) {
  base::Json shown = base::Json::array();
  for (const auto& [problem, sample] : r.shown) shown.push_back(to_json(problem, sample));
  return {{"task", r.task},
          {"about", r.about},
          {"split", split_name(r.split)},
          {"prompt_template", r.prompt_template},
          {"problems", r.problems},
          {"samples", r.samples},
          {"interrupted", r.stopped},
          {"pass_at_1", to_json(r.pass_at_1)},
          {"pass_at", to_json(r.pass_at)},
          {"majority", to_json(r.majority)},
          {"by_level", to_json(r.by_level)},
          {"answered", to_json(r.answered)},
          {"well_formed", to_json(r.well_formed)},
          {"finished", to_json(r.finished)},
          {"mean_tokens", r.mean_tokens},
          {"tokens", r.tokens},
          {"seconds", r.seconds},
          {"shown", shown}};
}

}  // namespace hadal::eval
