// make_e2e_model DIR: models for the end-to-end tests. DIR/model is random, slow enough that a stream can be
// stopped half-way; DIR/quick is random and quick; DIR/scripted says what tests/serve/scripted_model.h lists,
// and DIR/agent-model reads the file notes.txt with a tool, then speaks.
#include <cstdio>
#include <string>

#include "serve/scripted_model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_e2e_model DIR\n");
    return 2;
  }
  const std::string directory = argv[1];
  hadal::test::make_tiny_model(directory + "/model", 512, 8192);
  hadal::test::make_tiny_model(directory + "/quick", 64, 8192);
  hadal::test::ScriptedModel::make(directory + "/agent-model", {.function = "read",
                                                                .arguments = R"({"path": "notes.txt"})",
                                                                .after_tool = "Notes say ten kilometres",
                                                                .always = true,
                                                                .context_tokens = 32768});
  hadal::test::ScriptedModel::make(directory + "/scripted");
  return 0;
}
