#include "cli/command.h"

namespace hadal::cli {

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& purpose,
                      const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, purpose);
  if (!examples.empty()) command->footer("Examples:\n" + examples);
  return command;
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "0: every processor of this process")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

}  // namespace hadal::cli
