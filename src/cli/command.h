// A command is one file cli/<name>.cpp with one function add_<name>(app), declared below, and one row in
// main.cpp's table. The function declares options and stores a callback that does the work. Callbacks throw
// Error; main.cpp turns that into one line on stderr and the exit status (2 bad input, 1 anything else).
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace hadal::cli {

// Adds a subcommand with a one-line purpose and examples shown at the end of its --help.
CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& purpose,
                      const std::string& examples);

// The commands, one line each.
void add_data(CLI::App& app);
void add_data_worked(CLI::App& data);  // a subcommand of `data`
void add_tokenizer(CLI::App& app);
void add_pretrain(CLI::App& app);
void add_sft(CLI::App& app);
void add_grpo(CLI::App& app);
void add_distill(CLI::App& app);
void add_r1(CLI::App& app);
void add_eval(CLI::App& app);
void add_generate(CLI::App& app);
void add_chat(CLI::App& app);
void add_serve(CLI::App& app);
void add_logits(CLI::App& app);
void add_grads(CLI::App& app);
void add_pull(CLI::App& app);
void add_convert(CLI::App& app);
void add_synth(CLI::App& app);
void add_inspect(CLI::App& app);
void add_cache(CLI::App& app);
void add_bench(CLI::App& app);
void add_keys(CLI::App& app);
void add_usage(CLI::App& app);
void add_price(CLI::App& app);
// Subcommands of `eval` that have files of their own.
void add_eval_tasks(CLI::App& eval);
void add_eval_card(CLI::App& eval);
// Subcommands of `bench` that have files of their own.
void add_bench_train(CLI::App& bench);
void add_bench_model(CLI::App& bench);
void add_bench_serve(CLI::App& bench);
void add_bench_rollout(CLI::App& bench);

// --threads N, 0 (the default) meaning every processor that this process may use.
void add_threads_option(CLI::App& command, int& threads);

// --kv-type, how the KV cache keeps its numbers.
CLI::Option* add_kv_type_option(CLI::App& command, std::string& kv_type);
// --kv-memory and the like: bytes, or with K, M, G, T (powers of 1024).
CLI::Option* add_bytes_option(CLI::App& command, const std::string& name, int64_t& bytes,
                              const std::string& about);

// Exit statuses: what scripts rely on.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

}  // namespace hadal::cli
