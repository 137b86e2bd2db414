#include "cli/command.h"

namespace hadal::cli {

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& purpose,
                      const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, purpose);
  if (!examples.empty()) command->footer("Examples:\n" + examples);
  return command;
}

}  // namespace hadal::cli
