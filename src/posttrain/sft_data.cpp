#include "posttrain/sft_data.h"

#include <xxhash.h>

#include "base/error.h"

namespace hadal::posttrain {
namespace {

const text::ChatFormat& format_of(const SftRecipe& recipe, const model::CheckpointInput& checkpoint) {
  if (!recipe.chat_format.empty()) return text::find_chat_format(recipe.chat_format);
  const auto* format = model::chat_format_of(checkpoint.text, checkpoint.path, checkpoint.config);
  if (format != nullptr) return *format;
  std::string names;
  for (const std::string_view name : text::chat_format_names())
    names.append(names.empty() ? "" : ", ").append(name);
  throw_error(ErrorCode::kBadInput, "[sft] {} has no chat format: choose one with --chat-format: {}",
              checkpoint.path, names);
}

class Reader {
 public:
  Reader(const SftRecipe& recipe, const model::CheckpointInput& checkpoint)
      : recipe_(recipe), format_(format_of(recipe, checkpoint)), tokenizer_(*checkpoint.text.tokenizer) {}

  // fn(samples of one conversation, its hash) for every good line.
  template <typename Fn>
  void read(const std::string& path, LoadedSftData& out, Fn&& fn) const {
    ConversationFile file = read_conversations(path, recipe_.data.skip_bad);
    for (const Conversation& conversation : file.conversations) {
      try {
        std::vector<Sample> samples = render_samples(conversation, format_, tokenizer_);
        for (const Sample& sample : samples) check_length(sample);
        fn(std::move(samples), conversation.hash);
        ++out.conversations;
      } catch (const Error& e) {
        if (!recipe_.data.skip_bad) {
          throw_error(ErrorCode::kBadInput, "[sft] {}:{}: {} (--skip-bad leaves such lines out)", path,
                      conversation.line, e.what());
        }
        file.skipped.push_back({conversation.line, e.what()});
      }
    }
    out.skipped.insert(out.skipped.end(), file.skipped.begin(), file.skipped.end());
  }

 private:
  void check_length(const Sample& sample) const {
    const auto positions = static_cast<int64_t>(sample.tokens.size()) - 1;
    if (positions <= recipe_.data.sequence_tokens) return;
    throw_error(ErrorCode::kBadInput, "too long: {} tokens, data.sequence_tokens is {}", positions + 1,
                recipe_.data.sequence_tokens);
  }

  const SftRecipe& recipe_;
  const text::ChatFormat& format_;
  const text::Tokenizer& tokenizer_;
};

void append(std::vector<Sample>& to, std::vector<Sample> samples) {
  for (Sample& sample : samples) to.push_back(std::move(sample));
}

uint64_t checksum_of(const LoadedSftData& data) {
  std::vector<uint64_t> hashes;
  for (const auto* samples : {&data.train, &data.validation}) {
    hashes.push_back(samples->size());
    for (const Sample& sample : *samples) {
      hashes.push_back(sample.hash);
      hashes.push_back(XXH3_64bits(sample.tokens.data(), sample.tokens.size() * sizeof(text::TokenId)));
    }
  }
  return XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t));
}

}  // namespace

bool is_held_out(uint64_t line_hash, double fraction) {
  return static_cast<double>(line_hash >> 11) * 0x1.0p-53 < fraction;
}

LoadedSftData load_sft_data(const SftRecipe& recipe, const model::CheckpointInput& checkpoint) {
  if (!checkpoint.text.tokenizer) {
    throw_error(ErrorCode::kBadInput, "[sft] {} has no tokenizer: text cannot become tokens",
                checkpoint.path);
  }
  const Reader reader(recipe, checkpoint);
  LoadedSftData data;
  const bool own_file = !recipe.data.validation.empty();
  reader.read(recipe.data.conversations, data, [&](std::vector<Sample> samples, uint64_t hash) {
    const bool held_out = !own_file && is_held_out(hash, recipe.data.validation_fraction);
    data.validation_conversations += held_out ? 1 : 0;
    append(held_out ? data.validation : data.train, std::move(samples));
  });
  if (own_file) {
    reader.read(recipe.data.validation, data, [&](std::vector<Sample> samples, uint64_t) {
      ++data.validation_conversations;
      append(data.validation, std::move(samples));
    });
  }
  if (data.train.empty()) {
    throw_error(ErrorCode::kBadInput, "[sft] {}: no conversation to learn from ({} held out, {} skipped)",
                recipe.data.conversations, data.validation_conversations, data.skipped.size());
  }
  data.checksum = checksum_of(data);
  return data;
}

}  // namespace hadal::posttrain
