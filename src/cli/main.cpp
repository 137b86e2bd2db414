// Dispatches to the commands; turns errors into one line and an exit status.
#include <cstdio>
#include <exception>
#include <new>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "ledger/witness.h"

namespace {

using namespace hadal;

// One row a command; the order is that of --help.
const std::vector<void (*)(CLI::App&)> kCommands = {
    cli::add_data,  cli::add_tokenizer, cli::add_pretrain, cli::add_sft,     cli::add_grpo,  cli::add_distill,
    cli::add_r1,    cli::add_eval,      cli::add_generate, cli::add_chat,    cli::add_serve, cli::add_logits,
    cli::add_grads, cli::add_pull,      cli::add_inspect,  cli::add_convert, cli::add_synth, cli::add_cache,
    cli::add_bench, cli::add_keys,      cli::add_usage,    cli::add_price,
};

int exit_status(ErrorCode code) {
  return code == ErrorCode::kBadInput || code == ErrorCode::kUnsupported ? cli::kExitUsage : cli::kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
  if (int status = 0; ledger::run_as_witness(argc, argv, status)) return status;
  CLI::App app{"Hadal: the DeepSeek system as one program: train, serve and measure DeepSeek-family models."};
  app.name("hadal");
  app.require_subcommand(1);
  app.fallthrough();  // --log-level may stand after the command, too; commands inherit this
  app.set_version_flag("--version", "hadal 0.1.0");
  std::string log_level = "info";
  app.add_option("--log-level", log_level, "trace, debug, info, warn, error or off")->capture_default_str();
  app.parse_complete_callback([&] { base::set_up_logging(log_level); });
  for (const auto add : kCommands) add(app);
  try {
    app.parse(argc, argv);
    return cli::kExitOk;
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    std::fprintf(stderr, "hadal: %s (see --help)\n", e.what());
    return cli::kExitUsage;
  } catch (const Error& e) {
    std::fprintf(stderr, "hadal: %s\n", e.what());
    return exit_status(e.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "hadal: out of memory\n");
    return cli::kExitFailed;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "hadal: %s\n", e.what());
    return cli::kExitFailed;
  }
}
