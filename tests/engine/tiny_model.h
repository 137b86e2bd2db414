// The golden deepseek-v3 checkpoint with a tokenizer of its vocabulary size: a real model for tests of the
// engine.
#pragma once

#include <filesystem>
#include <string>

#include "support/temporary_folder.h"
#include "text/bpe_trainer.h"

namespace hadal::engine {

// A directory that goes away with the object.
class TinyModel {
 public:
  TinyModel() {
    namespace fs = std::filesystem;
    const std::string golden = std::string(HADAL_SOURCE_DIR) + "/tests/golden/deepseek-v3/";
    for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(golden + name, path(name));
    const std::string_view text =
        "the sea is deep and the deep sea is dark; the light of the day does not reach the trench, and the "
        "fish of the "
        "trench make their own light in the dark of the deep sea where the sand is and the water stands and "
        "is still";
    text::TrainOptions options;
    options.vocab_size = 320;
    text::train_bpe({&text, 1}, options)->save(path("tokenizer.json"));
  }
  const std::string& directory() const { return folder_.path(); }
  std::string path(const std::string& name) const { return folder_ / name; }

 private:
  test::TemporaryFolder folder_;
};

}  // namespace hadal::engine
