// Questions whose answer stands in the question: say it again, greet someone, which word came first, who has
// the lamp. A small model learns from them to look back and carry a word over, which every other answer about
// an unfamiliar word, name or number needs.
#include <algorithm>

#include "train/corpus/dialogue_topics.h"

namespace hadal::train::corpus {

namespace {

constexpr std::string_view kColors[] = {"red",   "blue",   "green", "black", "white",
                                        "brown", "yellow", "gray",  "pink",  "orange"};
constexpr std::string_view kPlaces[] = {"the kitchen", "the garden", "the forest", "the city",
                                        "the village", "the school", "the church", "the barn",
                                        "the river",   "the sea",    "the castle", "the shop",
                                        "the house",   "the field",  "the library"};

// A word of this side. Half of the time every word is as likely as another: what is copied should be
// anything.
std::string any_word(const TopicContext& context) {
  const std::vector<LexiconEntry>& entries = context.lexicon.entries();
  if (context.chance(0.5)) {
    for (int tries = 0; tries < 20; ++tries) {
      const LexiconEntry& entry = entries[context.random.below(entries.size())];
      if (entry.held_out == (context.side == DialogueSide::kHeldOut)) return entry.word;
    }
  }
  return context.lexicon.draw(context.random, context.side).word;
}

std::string any_person(const TopicContext& context) { return std::string(context.one_of(dialogue_people())); }

// A word, or now and then a name, a number or a word that does not exist.
std::string anything(const TopicContext& context) {
  const double kind = context.random.uniform();
  if (kind < 0.08) return any_person(context);
  if (kind < 0.14) return std::to_string(context.between(0, 999));
  if (kind < 0.24) return invented_word(context, 1, 3);
  return any_word(context);
}

std::vector<std::string> distinct(const TopicContext& context, size_t count,
                                  std::string (*draw)(const TopicContext&)) {
  std::vector<std::string> out;
  for (int tries = 0; tries < 60 && out.size() < count; ++tries) {
    std::string next = draw(context);
    if (std::find(out.begin(), out.end(), next) == out.end()) out.push_back(std::move(next));
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += separator;
    out += word;
  }
  return out;
}

std::string a_thing(const TopicContext& context) {
  for (int tries = 0; tries < 60; ++tries) {
    const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
    if (entry.countable) return entry.word;
  }
  return "book";
}

}  // namespace

std::string invented_word(const TopicContext& context, int least_syllables, int most_syllables) {
  std::string word;
  const int syllables = context.between(least_syllables, most_syllables);
  for (int i = 0; i < syllables; ++i) {
    word += context.pick({"bl", "gr", "z",  "fl", "sn", "v", "qu", "tr", "w", "k", "sk",
                          "m",  "pl", "dr", "b",  "f",  "l", "n",  "t",  "d", "st"});
    word += context.pick({"a", "e", "i", "o", "u", "oo", "ee"});
    word += context.pick({"", "b", "f", "g", "k", "m", "nk", "p", "rf", "x", "zz", "t", "n", "l"});
  }
  return word;
}

std::vector<Turn> ask_repeat(const TopicContext& context) {
  std::string text;
  if (context.chance(0.2)) {
    const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
    if (entry.examples.empty()) return {};
    text = entry.examples[0];
  } else {
    std::vector<std::string> words;
    const int count = context.chance(0.4) ? context.between(8, 24) : context.between(1, 8);
    for (int i = 0; i < count; ++i) words.push_back(anything(context));
    text = joined(words, context.chance(0.65) ? " " : ", ");
    if (context.chance(0.4)) {
      if (count == 1)
        return {
            {fill(context.pick({"Repeat the word {}.", "Say the word {}.", "Write the word {}."}), {text}),
             fill("The word is {}.", {text})}};
      return {{fill(context.pick({"Repeat these words: {}", "Say these words again: {}",
                                  "Write these words: {}", "Here are some words: {}. Say them again."}),
                    {text}),
               fill("The words are: {}", {text})}};
    }
  }
  if (context.chance(0.25))
    return {{fill(context.pick({"Repeat after me: \"{}\"", "Say \"{}\"", "Please repeat: \"{}\""}), {text}),
             fill("\"{}\"", {text})}};
  return {{fill(context.pick({"Repeat after me: {}", "Say: {}", "Please repeat: {}", "Say this: {}",
                              "Write this: {}", "Repeat: {}"}),
                {text}),
           text}};
}

std::vector<Turn> ask_echo(const TopicContext& context) {
  const std::string person = any_person(context);
  switch (context.random.below(4)) {
    case 0:
      return {{fill(context.pick({"Say hello to {}.", "Greet {}.", "Please say hello to my friend {}.",
                                  "This is {}. Say hello."}),
                    {person}),
               fill("Hello, {}!", {person})}};
    case 1:
      return {
          {fill(context.pick({"Say goodbye to {}.", "Say good night to {}.", "{} must go now. Say goodbye."}),
                {person}),
           fill("Goodbye, {}!", {person})}};
    default: {
      const std::string word = anything(context);
      const int times = context.between(2, 5);
      std::string answer = "The word is";
      for (int i = 0; i < times; ++i) answer += (i == 0 ? " " : ", ") + word;
      return {{fill(context.pick({"Repeat the word {} {} times.", "Say {} {} times.", "Write {} {} times."}),
                    {word, number_in_words(times)}),
               answer + "."}};
    }
  }
}

std::vector<Turn> ask_position(const TopicContext& context) {
  const std::vector<std::string> words =
      distinct(context, static_cast<size_t>(context.between(2, 5)), anything);
  if (words.size() < 2) return {};
  static constexpr std::string_view kNames[] = {"first", "second", "third"};
  const bool last = context.chance(0.35);
  const size_t at = last ? words.size() - 1 : context.random.below(std::min<size_t>(words.size(), 3));
  const std::string name(last ? "last" : kNames[at]);
  return {{fill(context.pick({"I say: {}. Which word is the {}?",
                              "Here are some words: {}. What is the {} word?", "{}. What is the {} word?"}),
                {joined(words, ", "), name}),
           fill("The {} word is {}.", {name, words[at]})}};
}

std::vector<Turn> ask_recall(const TopicContext& context) {
  const auto count = static_cast<size_t>(context.between(1, 3));
  const size_t asked = context.random.below(count);
  std::string told;
  const auto tell = [&](size_t i, const std::string& sentence) {
    told +=
        i == 0 ? capitalised(sentence) : (i + 1 == count && context.chance(0.6) ? " and " : ". ") + sentence;
  };
  switch (context.random.below(4)) {
    case 0: {
      const std::vector<std::string> people = distinct(context, count, any_person);
      const std::vector<std::string> things = distinct(context, count, a_thing);
      if (people.size() < count || things.size() < count) return {};
      for (size_t i = 0; i < count; ++i) tell(i, people[i] + " has " + with_article(things[i]));
      const bool who = context.chance(0.5);
      return {{told + ". " +
                   (who ? fill("Who has {}?", {with_article(things[asked])})
                        : fill("What does {} have?", {people[asked]})),
               fill("{} has {}.", {people[asked], with_article(things[asked])})}};
    }
    case 1: {
      const std::vector<std::string> things = distinct(context, count, a_thing);
      if (things.size() < count) return {};
      std::string answer;
      for (size_t i = 0; i < count; ++i) {
        const std::string color(context.one_of(std::span<const std::string_view>(kColors)));
        tell(i, "the " + things[i] + " is " + color);
        if (i == asked) answer = color;
      }
      return {{told + ". " +
                   fill(context.pick({"What color is the {}?", "Which color has the {}?"}), {things[asked]}),
               fill("The {} is {}.", {things[asked], answer})}};
    }
    case 2: {
      const std::vector<std::string> people = distinct(context, count, any_person);
      if (people.size() < count) return {};
      std::string answer;
      for (size_t i = 0; i < count; ++i) {
        const std::string place(context.one_of(std::span<const std::string_view>(kPlaces)));
        tell(i, people[i] + " is in " + place);
        if (i == asked) answer = place;
      }
      return {{told + ". " + fill("Where is {}?", {people[asked]}),
               fill("{} is in {}.", {people[asked], answer})}};
    }
    default: {
      const std::string thing = a_thing(context);
      const std::string name = any_person(context);
      return {{fill("My {} is called {}. What is my {} called?", {thing, name, thing}),
               fill("Your {} is called {}.", {thing, name})}};
    }
  }
}

std::vector<Turn> ask_remember(const TopicContext& context) {
  if (context.chance(0.3)) {
    const std::string color(context.one_of(std::span<const std::string_view>(kColors)));
    return {{fill("My favorite color is {}.", {color}), fill("I see: your favorite color is {}.", {color})},
            {"What is my favorite color?", fill("Your favorite color is {}.", {color})}};
  }
  const std::string word = anything(context);
  return {{fill(context.pick(
                    {"Remember the word {}.", "Please remember this word: {}.", "The secret word is {}."}),
                {word}),
           fill("I will remember the word {}.", {word})},
          {std::string(context.pick({"What was the word?", "Which word did I tell you?",
                                     "What is the secret word?", "Do you remember the word?"})),
           fill("The word was {}.", {word})}};
}

}  // namespace hadal::train::corpus
