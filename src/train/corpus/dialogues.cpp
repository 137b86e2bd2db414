#include "train/corpus/dialogues.h"

#include <cctype>

#include "base/error.h"
#include "train/corpus/dialogue_topics.h"

namespace hadal::train::corpus {

struct DialogueMaker::Impl {
  Lexicon lexicon;
  uint64_t seed = 1;
  double total_weight = 0;

  const Topic& draw_topic(base::Random& random) const {
    while (true) {
      double at = random.uniform() * total_weight;
      for (const Topic& topic : dialogue_topics()) {
        if (topic.needs_words && lexicon.empty()) continue;
        at -= topic.weight;
        if (at < 0) return topic;
      }
    }
  }
};

namespace {

// People type carelessly: some questions come in lower case, without their mark, or with a polite word.
std::string as_typed(const TopicContext& context, std::string question) {
  if (question.ends_with("?") && context.chance(0.08))
    question = std::string(context.pick({"Hi! ", "Hello. ", "Please tell me: ", "OK. "})) + question;
  if (context.chance(0.18))
    question[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(question[0])));
  const bool asks = question.ends_with("?");
  if ((asks || question.ends_with(".")) && context.chance(0.15)) question.pop_back();
  return question;
}

}  // namespace

DialogueMaker::DialogueMaker(const WordNet* wordnet,
                             const std::unordered_map<std::string, int64_t>& word_counts,
                             const DialogueOptions& options)
    : impl_(std::make_unique<Impl>()) {
  impl_->seed = options.seed;
  if (wordnet != nullptr) {
    impl_->lexicon = Lexicon(*wordnet, word_counts, options);
    if (impl_->lexicon.empty())
      throw_error(ErrorCode::kBadInput,
                  "[dialogues] no common word of the corpus has a usable sense in WordNet");
  }
  for (const Topic& topic : dialogue_topics())
    if (!topic.needs_words || !impl_->lexicon.empty()) impl_->total_weight += topic.weight;
}

DialogueMaker::~DialogueMaker() = default;
DialogueMaker::DialogueMaker(DialogueMaker&&) noexcept = default;

Dialogue DialogueMaker::make(uint64_t index, DialogueSide side) const {
  uint64_t mixed = impl_->seed * 2 + (side == DialogueSide::kHeldOut ? 1 : 0);
  base::splitmix64(mixed);
  base::Random random(mixed ^ (index * 0x9E3779B97F4A7C15u));
  const TopicContext context{impl_->lexicon, side, random};

  const double length =
      random.uniform();  // about half of the dialogues have one turn, the longest four or five
  const size_t wanted = length < 0.5 ? 1 : length < 0.75 ? 2 : length < 0.9 ? 3 : 4;
  Dialogue dialogue;
  if (random.uniform() < 0.06)
    dialogue.push_back(
        {"system",
         std::string(context.pick({"You are a helpful assistant.", "You are Hadal nano, a helpful assistant.",
                                   "Answer in short sentences.", "Be brief and kind."}))});
  const size_t first = dialogue.size();
  while ((dialogue.size() - first) / 2 < wanted) {
    for (Turn& turn : impl_->draw_topic(random).make(context)) {
      dialogue.push_back({"user", as_typed(context, std::move(turn.question))});
      dialogue.push_back({"assistant", std::move(turn.answer)});
    }
  }
  return dialogue;
}

}  // namespace hadal::train::corpus
