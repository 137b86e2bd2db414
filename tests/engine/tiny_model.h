// The golden deepseek-v3 checkpoint with a tokenizer of its vocabulary size: a real model for tests of the
// engine.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "text/bpe_trainer.h"

namespace hadal::engine {

// A directory that goes away with the object.
class TinyModel {
 public:
  TinyModel() {
    namespace fs = std::filesystem;
    static int count = 0;
    directory_ = (fs::temp_directory_path() /
                  ("hadal-tiny-" + std::to_string(getpid()) + "-" + std::to_string(count++)))
                     .string();
    fs::create_directories(directory_);
    const std::string golden = std::string(HADAL_SOURCE_DIR) + "/tests/golden/deepseek-v3/";
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(golden + name, directory_ + "/" + name);
    const std::string_view text =
        "the sea is deep and the deep sea is dark; the light of the day does not reach the trench, and the "
        "fish of the "
        "trench make their own light in the dark of the deep sea where the sand is and the water stands and "
        "is still";
    text::TrainOptions options;
    options.vocab_size = 320;
    text::train_bpe({&text, 1}, options)->save(directory_ + "/tokenizer.json");
  }
  ~TinyModel() { std::filesystem::remove_all(directory_); }
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  const std::string& directory() const { return directory_; }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

 private:
  std::string directory_;
};

}  // namespace hadal::engine
