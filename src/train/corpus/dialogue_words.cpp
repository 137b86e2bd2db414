// Questions about words: meanings, synonyms, opposites, kinds, spelling and forms.
#include <algorithm>
#include <cctype>

#include "train/corpus/dialogue_topics.h"

namespace hadal::train::corpus {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kOpposites[] = {
    {"hot", "cold"},        {"big", "small"},    {"large", "small"},    {"tall", "short"},
    {"long", "short"},      {"good", "bad"},     {"happy", "sad"},      {"fast", "slow"},
    {"early", "late"},      {"old", "new"},      {"young", "old"},      {"rich", "poor"},
    {"strong", "weak"},     {"light", "dark"},   {"high", "low"},       {"open", "closed"},
    {"full", "empty"},      {"hard", "soft"},    {"easy", "difficult"}, {"wet", "dry"},
    {"clean", "dirty"},     {"loud", "quiet"},   {"near", "far"},       {"left", "right"},
    {"up", "down"},         {"in", "out"},       {"day", "night"},      {"true", "false"},
    {"yes", "no"},          {"first", "last"},   {"north", "south"},    {"east", "west"},
    {"win", "lose"},        {"love", "hate"},    {"give", "take"},      {"buy", "sell"},
    {"begin", "end"},       {"push", "pull"},    {"laugh", "cry"},      {"friend", "enemy"},
    {"peace", "war"},       {"life", "death"},   {"top", "bottom"},     {"before", "after"},
    {"always", "never"},    {"many", "few"},     {"more", "less"},      {"thick", "thin"},
    {"wide", "narrow"},     {"deep", "shallow"}, {"heavy", "light"},    {"sweet", "bitter"},
    {"brave", "afraid"},    {"wise", "foolish"}, {"kind", "cruel"},     {"black", "white"},
    {"remember", "forget"}, {"arrive", "leave"}, {"safe", "dangerous"}, {"same", "different"}};

constexpr Pair kPast[] = {{"go", "went"},         {"come", "came"},
                          {"see", "saw"},         {"eat", "ate"},
                          {"run", "ran"},         {"sing", "sang"},
                          {"swim", "swam"},       {"drink", "drank"},
                          {"begin", "began"},     {"give", "gave"},
                          {"take", "took"},       {"make", "made"},
                          {"say", "said"},        {"tell", "told"},
                          {"sell", "sold"},       {"buy", "bought"},
                          {"bring", "brought"},   {"think", "thought"},
                          {"teach", "taught"},    {"catch", "caught"},
                          {"find", "found"},      {"get", "got"},
                          {"know", "knew"},       {"grow", "grew"},
                          {"throw", "threw"},     {"fly", "flew"},
                          {"draw", "drew"},       {"write", "wrote"},
                          {"ride", "rode"},       {"drive", "drove"},
                          {"speak", "spoke"},     {"break", "broke"},
                          {"wake", "woke"},       {"choose", "chose"},
                          {"forget", "forgot"},   {"sit", "sat"},
                          {"stand", "stood"},     {"understand", "understood"},
                          {"hear", "heard"},      {"hold", "held"},
                          {"keep", "kept"},       {"sleep", "slept"},
                          {"leave", "left"},      {"feel", "felt"},
                          {"meet", "met"},        {"send", "sent"},
                          {"build", "built"},     {"lose", "lost"},
                          {"pay", "paid"},        {"win", "won"},
                          {"fall", "fell"},       {"become", "became"},
                          {"have", "had"},        {"do", "did"},
                          {"be", "was"},          {"put", "put"},
                          {"cut", "cut"},         {"read", "read"},
                          {"fight", "fought"},    {"hide", "hid"},
                          {"walk", "walked"},     {"play", "played"},
                          {"look", "looked"},     {"help", "helped"},
                          {"love", "loved"},      {"live", "lived"},
                          {"stop", "stopped"},    {"try", "tried"},
                          {"carry", "carried"},   {"ask", "asked"},
                          {"answer", "answered"}, {"call", "called"},
                          {"open", "opened"},     {"close", "closed"},
                          {"move", "moved"},      {"work", "worked"},
                          {"plan", "planned"},    {"study", "studied"},
                          {"jump", "jumped"},     {"smile", "smiled"}};

struct Degrees {
  std::string_view base, more, most;
};
constexpr Degrees kDegrees[] = {{"big", "bigger", "biggest"},     {"small", "smaller", "smallest"},
                                {"tall", "taller", "tallest"},    {"fast", "faster", "fastest"},
                                {"slow", "slower", "slowest"},    {"good", "better", "best"},
                                {"bad", "worse", "worst"},        {"happy", "happier", "happiest"},
                                {"easy", "easier", "easiest"},    {"old", "older", "oldest"},
                                {"young", "younger", "youngest"}, {"long", "longer", "longest"},
                                {"short", "shorter", "shortest"}, {"hot", "hotter", "hottest"},
                                {"cold", "colder", "coldest"},    {"strong", "stronger", "strongest"},
                                {"weak", "weaker", "weakest"},    {"rich", "richer", "richest"},
                                {"kind", "kinder", "kindest"},    {"busy", "busier", "busiest"},
                                {"light", "lighter", "lightest"}, {"heavy", "heavier", "heaviest"},
                                {"high", "higher", "highest"},    {"low", "lower", "lowest"},
                                {"far", "farther", "farthest"},   {"wise", "wiser", "wisest"},
                                {"large", "larger", "largest"},   {"new", "newer", "newest"},
                                {"warm", "warmer", "warmest"},    {"bright", "brighter", "brightest"}};

constexpr Pair kPlurals[] = {
    {"child", "children"},  {"man", "men"},         {"woman", "women"},   {"foot", "feet"},
    {"tooth", "teeth"},     {"goose", "geese"},     {"mouse", "mice"},    {"person", "people"},
    {"ox", "oxen"},         {"sheep", "sheep"},     {"fish", "fish"},     {"deer", "deer"},
    {"knife", "knives"},    {"wife", "wives"},      {"life", "lives"},    {"leaf", "leaves"},
    {"wolf", "wolves"},     {"half", "halves"},     {"shelf", "shelves"}, {"thief", "thieves"},
    {"potato", "potatoes"}, {"tomato", "tomatoes"}, {"hero", "heroes"},   {"box", "boxes"},
    {"city", "cities"},     {"baby", "babies"},     {"lady", "ladies"},   {"day", "days"},
    {"key", "keys"},        {"church", "churches"}, {"dish", "dishes"},   {"glass", "glasses"},
    {"bus", "buses"},       {"cat", "cats"},        {"dog", "dogs"},      {"book", "books"},
    {"tree", "trees"},      {"house", "houses"},    {"story", "stories"}, {"apple", "apples"}};

std::string letters_of(const std::string& word) {
  std::string out;
  for (const char c : word) out += (out.empty() ? "" : " ") + std::string(1, c);
  return out;
}

const LexiconEntry& draw_noun(const TopicContext& context, bool countable) {
  for (int tries = 0; tries < 200; ++tries) {
    const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
    if (entry.pos == PartOfSpeech::kNoun && (entry.countable || !countable)) return entry;
  }
  return context.lexicon.draw(context.random, context.side);
}

std::string regular_plural(const std::string& noun) {
  const char last = noun.back();
  const char before = noun.size() > 1 ? noun[noun.size() - 2] : ' ';
  if (last == 'y' && std::string_view("aeiou").find(before) == std::string_view::npos)
    return noun.substr(0, noun.size() - 1) + "ies";
  if (last == 's' || last == 'x' || last == 'z' || noun.ends_with("ch") || noun.ends_with("sh"))
    return noun + "es";
  return noun + "s";
}

}  // namespace

// The answer takes the word up in the form in which the question has it: "a river", "to run", or the word
// with the same quotation marks. So it can be carried over as it stands.
std::vector<Turn> ask_meaning(const TopicContext& context) {
  const LexiconEntry* drawn = &context.lexicon.draw(context.random, context.side);
  if (!drawn->everyday) drawn = &context.lexicon.draw(context.random, context.side);  // what people ask for
  const LexiconEntry& entry = *drawn;
  const std::string& word = entry.word;
  const bool verb = entry.pos == PartOfSpeech::kVerb;
  std::string question;
  std::string answer;
  if (entry.countable && context.chance(0.4)) {
    question = fill(
        context.pick({"What is {}?", "What is {}?", "Can you tell me what {} is?", "Tell me what {} is."}),
        {with_article(word)});
    answer = capitalised(with_article(word)) + " is " + entry.meaning + ".";
  } else if (verb && context.chance(0.3)) {
    question = fill("What does it mean to {}?", {word});
    answer = fill("To {} means to {}.", {word, entry.meaning});
  } else {
    const std::string form = context.chance(0.3) ? quoted(word) : word;
    question = fill(context.pick({"What does the word {} mean?", "What does {} mean?", "What does {} mean?",
                                  "Define {}.", "Define the word {}.", "What is the meaning of {}?",
                                  "What is the meaning of the word {}?", "Explain the word {}.",
                                  "Can you explain the word {}?"}),
                    {form});
    answer = fill("The word {} means {}.", {form, (verb ? "to " : "") + entry.meaning});
  }
  std::vector<Turn> turns = {{question, answer}};
  if (!entry.examples.empty() && context.chance(0.2))
    turns.push_back({std::string(context.pick({"Can you use it in a sentence?", "Give me an example.",
                                               "Use it in a sentence.", "Can you give an example?"})),
                     entry.examples[context.random.below(entry.examples.size())]});
  if (!entry.synonyms.empty() && context.chance(0.1))
    turns.push_back({std::string(context.pick({"Is there another word for it?",
                                               "What is another word for it?", "What is a synonym?"})),
                     fill("Another word for {} is {}.", {word, entry.synonyms[0]})});
  return turns;
}

std::vector<Turn> ask_synonym(const TopicContext& context) {
  for (int tries = 0; tries < 50; ++tries) {
    const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
    if (entry.synonyms.empty()) continue;
    const std::string form = context.chance(0.25) ? quoted(entry.word) : entry.word;
    return {{fill(context.pick({"What is another word for {}?", "Give me a synonym of {}.",
                                "What is a synonym for {}?", "Tell me a word that means the same as {}.",
                                "What word means the same as {}?"}),
                  {form}),
             fill("Another word for {} is {}.", {form, entry.synonyms[0]})}};
  }
  return {};
}

std::vector<Turn> ask_opposite(const TopicContext& context) {
  std::string word;
  std::string opposite;
  if (context.chance(0.6) && context.side == DialogueSide::kTrain) {
    const Pair& pair = context.one_of(std::span<const Pair>(kOpposites));
    word = pair.first;
    opposite = pair.second;
    if (context.chance(0.3) && word != "light" && word != "large" && opposite != "old" && opposite != "short")
      std::swap(word, opposite);
  } else {
    for (int tries = 0; tries < 200 && word.empty(); ++tries) {
      const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
      if (entry.antonyms.empty()) continue;
      word = entry.word;
      opposite = entry.antonyms[0];
    }
    if (word.empty()) return {};
  }
  if (context.chance(0.2)) word = quoted(word);
  return {{fill(context.pick({"What is the opposite of {}?", "What is the opposite of {}?",
                              "Tell me the opposite of {}.", "Give me an antonym of {}.",
                              "What word is the opposite of {}?"}),
                {word}),
           fill("The opposite of {} is {}.", {word, opposite})}};
}

std::vector<Turn> ask_sentence(const TopicContext& context) {
  for (int tries = 0; tries < 50; ++tries) {
    const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
    if (entry.examples.empty()) continue;
    return {{fill(context.pick({"Use the word \"{}\" in a sentence.", "Make a sentence with the word {}.",
                                "Write a sentence with the word \"{}\".", "Can you use {} in a sentence?",
                                "Give me a sentence with {}.", "Write a sentence about {}."}),
                  {entry.word}),
             entry.examples[context.random.below(entry.examples.size())]}};
  }
  return {};
}

std::vector<Turn> ask_kind(const TopicContext& context) {
  for (int tries = 0; tries < 200; ++tries) {
    const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
    if (!entry.countable || entry.kinds_of.empty()) continue;
    if (entry.everyday && (entry.kinds_of[0] == "part" || entry.kinds_of[0] == "thing")) continue;
    const std::string thing = with_article(entry.word);
    const std::string& kind = entry.kinds_of[0];
    if (context.chance(0.4))
      return {{fill(context.pick(
                        {"What kind of thing is {}?", "What sort of thing is {}?", "{} is a kind of what?"}),
                    {thing}),
               fill("{} is a kind of {}.", {capitalised(thing), kind})}};
    const std::string& true_kind = entry.kinds_of[context.random.below(entry.kinds_of.size())];
    if (context.chance(0.5))
      return {{fill("Is {} a kind of {}?", {thing, true_kind}),
               fill("Yes, {} is a kind of {}.", {thing, true_kind})}};
    const std::vector<std::string>& categories = context.lexicon.categories();
    const LexiconEntry* other = nullptr;
    std::string wrong;
    if (!categories.empty()) wrong = categories[context.random.below(categories.size())];
    other = context.lexicon.find(wrong);
    const bool related =
        wrong.empty() || wrong == entry.word ||
        std::find(entry.kinds_of.begin(), entry.kinds_of.end(), wrong) != entry.kinds_of.end();
    if (related || other == nullptr || !other->countable) continue;
    return {{fill("Is {} a kind of {}?", {thing, wrong}), fill("No, {} is a kind of {}.", {thing, kind})}};
  }
  return {};
}

std::vector<Turn> ask_examples_of_kind(const TopicContext& context) {
  // Categories that people ask about; most of WordNet's ("extremity") nobody would.
  static constexpr std::string_view kCategories[] = {
      "animal",    "animal", "bird",   "insect",    "tree",   "flower",  "fruit",    "vegetable", "food",
      "food",      "drink",  "metal",  "tool",      "weapon", "vehicle", "building", "room",      "clothing",
      "furniture", "person", "person", "container", "season", "weather", "feeling",  "machine",   "relative"};
  const std::string category(context.one_of(std::span<const std::string_view>(kCategories)));
  const std::vector<std::string>& members = context.lexicon.members(category);
  if (members.size() < 3) return {};
  std::vector<std::string> chosen;
  for (int tries = 0; tries < 20 && chosen.size() < 3; ++tries) {  // the frequent ones stand first
    const auto index = static_cast<size_t>(context.random.uniform() * context.random.uniform() *
                                           static_cast<double>(members.size()));
    if (std::find(chosen.begin(), chosen.end(), members[index]) == chosen.end())
      chosen.push_back(members[index]);
  }
  if (chosen.size() < 3) return {};
  return {{fill(context.pick({"Name three kinds of {}.", "Give me three examples of {}.",
                              "Tell me three kinds of {}.", "What are some kinds of {}?"}),
                {category}),
           fill("Three kinds of {} are {}.", {category, join_list(chosen)})}};
}

std::vector<Turn> ask_part_of_speech(const TopicContext& context) {
  const LexiconEntry& entry = context.lexicon.draw(context.random, context.side);
  const std::string pos(pos_name(entry.pos));
  const std::string answer = fill("The word \"{}\" is {}.", {entry.word, with_article(pos)});
  if (context.chance(0.5))
    return {{fill(context.pick({"What part of speech is \"{}\"?", "What kind of word is \"{}\"?",
                                "Is \"{}\" a noun, a verb or an adjective?"}),
                  {entry.word}),
             answer}};
  const std::string guess(pos_name(static_cast<PartOfSpeech>(context.random.below(4))));
  return {
      {fill("Is \"{}\" {}?", {entry.word, with_article(guess)}), (guess == pos ? "Yes. " : "No. ") + answer}};
}

std::vector<Turn> ask_spelling(const TopicContext& context) {
  const std::string& word = context.lexicon.draw(context.random, context.side).word;
  if (context.chance(0.2))  // the other way round
    return {{fill(context.pick(
                      {"Which word is spelled {}?", "What word is {}?", "Put these letters together: {}"}),
                  {letters_of(word)}),
             fill("The letters {} spell the word {}.", {letters_of(word), word})}};
  const std::string form = context.chance(0.25) ? quoted(word) : word;
  return {{fill(context.pick({"Spell the word {}.", "How do you spell {}?", "Spell {}.", "Spell {}.",
                              "Can you spell the word {}?", "Spell {} letter by letter."}),
                {form}),
           fill("The word {} is spelled {}.", {form, letters_of(word)})}};
}

std::vector<Turn> ask_letters(const TopicContext& context) {
  const std::string& word = context.lexicon.draw(context.random, context.side).word;
  const std::string form = context.chance(0.4) ? quoted(word) : word;
  switch (context.random.below(4)) {
    case 0:
      return {{fill(context.pick({"What is the first letter of {}?", "Which letter does {} begin with?",
                                  "What letter does the word {} start with?"}),
                    {form}),
               fill("The first letter of {} is {}.", {form, word.substr(0, 1)})}};
    case 1:
      return {
          {fill(context.pick({"What is the last letter of {}?", "Which letter does {} end with?"}), {form}),
           fill("The last letter of {} is {}.", {form, word.substr(word.size() - 1)})}};
    case 2:
      return {{fill(context.pick({"How many letters are in the word {}?", "How many letters does {} have?",
                                  "Count the letters of {}."}),
                    {form}),
               fill("The word {} is spelled {}: that is {} letters.",
                    {form, letters_of(word), std::to_string(word.size())})}};
    default: {
      const std::string letter(1, context.chance(0.5) ? word[context.random.below(word.size())]
                                                      : static_cast<char>('a' + context.between(0, 25)));
      const bool there = word.find(letter) != std::string::npos;
      return {{fill("Is there the letter {} in the word {}?", {letter, form}),
               fill(there ? "The word {} is spelled {}. Yes, there is the letter {}."
                          : "The word {} is spelled {}. No, there is no letter {}.",
                    {form, letters_of(word), letter})}};
    }
  }
}

std::vector<Turn> ask_plural(const TopicContext& context) {
  std::string noun;
  std::string plural;
  if (context.chance(0.5) && context.side == DialogueSide::kTrain) {
    const Pair& pair = context.one_of(std::span<const Pair>(kPlurals));
    noun = pair.first;
    plural = pair.second;
  } else {
    const LexiconEntry& entry = draw_noun(context, true);
    noun = entry.word;
    if (!entry.countable || noun.ends_with("f") || noun.ends_with("fe") || noun.ends_with("o") ||
        noun.ends_with("man") || noun.ends_with("s") || noun.ends_with("foot") || noun.ends_with("child"))
      return {};
    plural = regular_plural(noun);
    for (const Pair& pair : kPlurals)
      if (pair.first == noun) plural = pair.second;
  }
  return {
      {fill(context.pick({"What is the plural of {}?", "What is the plural of \"{}\"?", "One {}, two what?",
                          "Tell me the plural of {}.", "How do you say more than one {}?"}),
            {noun}),
       fill("The plural of {} is {}.", {noun, plural})}};
}

std::vector<Turn> ask_past(const TopicContext& context) {
  const Pair& pair = context.one_of(std::span<const Pair>(kPast));
  const std::string verb(pair.first);
  return {{fill(context.pick({"What is the past tense of {}?", "What is the past tense of \"{}\"?",
                              "What is the past of the verb {}?", "Put \"{}\" in the past tense.",
                              "Today I {}. What did I do yesterday?"}),
                {verb}),
           fill("The past tense of {} is {}.", {verb, std::string(pair.second)})}};
}

std::vector<Turn> ask_comparative(const TopicContext& context) {
  const Degrees& degrees = context.one_of(std::span<const Degrees>(kDegrees));
  const std::string base(degrees.base);
  if (context.chance(0.5))
    return {{fill(context.pick({"What is the comparative of {}?", "What is the comparative form of \"{}\"?"}),
                  {base}),
             fill("The comparative of {} is {}.", {base, std::string(degrees.more)})}};
  return {{fill(context.pick({"What is the superlative of {}?", "What is the superlative form of \"{}\"?"}),
                {base}),
           fill("The superlative of {} is {}.", {base, std::string(degrees.most)})}};
}

std::vector<Turn> ask_unknown_word(const TopicContext& context) {
  const std::string word = invented_word(context, 2, 3);
  if (context.lexicon.find(word) != nullptr) return {};
  const std::string form = context.chance(0.4) ? quoted(word) : word;
  return {{fill(context.pick({"What does the word {} mean?", "What does {} mean?", "What is a {}?",
                              "Define {}.", "What is the meaning of {}?", "Use the word {} in a sentence."}),
                {form}),
           fill(context.pick({"I do not know the word {}.", "I do not know the word {}. Is it a real word?"}),
                {form})}};
}

std::vector<Turn> ask_alphabetical(const TopicContext& context) {
  std::vector<std::string> words;
  while (words.size() < 3) {
    const std::string& word = context.lexicon.draw(context.random, context.side).word;
    const bool same_letter = std::any_of(words.begin(), words.end(),
                                         [&](const std::string& other) { return other[0] == word[0]; });
    if (!same_letter) words.push_back(word);
  }
  const std::string given = join_list(words);
  std::sort(words.begin(), words.end());
  return {{fill(context.pick({"Put these words in alphabetical order: {}.", "Sort these words: {}.",
                              "Put in alphabetical order: {}."}),
                {given}),
           "In alphabetical order: " + join_list(words) + "."}};
}

}  // namespace hadal::train::corpus
