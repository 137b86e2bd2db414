// Language consistency as in the R1 papers (arXiv 2501.12948, section 2.3.2): the share of words in the
// target language, told by the script that they are written in. Words of a script without spaces (Han, kana)
// are its characters. Numbers, signs and what is between tags and letters of no script count for nothing.
#include <algorithm>
#include <array>

#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"
#include "text/utf8.h"

namespace hadal::posttrain {
namespace {

struct Range {
  uint32_t first, last;
};
struct Script {
  std::string_view name;
  bool by_character;
  std::array<Range, 7> ranges;  // of letters (Unicode's blocks); unused ones are {0, 0}
};

constexpr auto kScripts = std::to_array<Script>({
    {"latin",
     false,
     {{{'A', 'Z'},
       {'a', 'z'},
       {0xC0, 0xD6},
       {0xD8, 0xF6},
       {0xF8, 0x24F},
       {0x1E00, 0x1EFF},
       {0xFF21, 0xFF5A}}}},
    {"han",
     true,
     {{{0x4E00, 0x9FFF}, {0x3400, 0x4DBF}, {0xF900, 0xFAFF}, {0x20000, 0x323AF}, {0x3005, 0x3007}, {}, {}}}},
    {"cyrillic", false, {{{0x400, 0x52F}, {0x1C80, 0x1C8F}, {0x2DE0, 0x2DFF}, {0xA640, 0xA69F}, {}, {}, {}}}},
    {"greek", false, {{{0x370, 0x3FF}, {0x1F00, 0x1FFF}, {}, {}, {}, {}, {}}}},
    {"arabic",
     false,
     {{{0x620, 0x64A}, {0x66E, 0x6D3}, {0x750, 0x77F}, {0xFB50, 0xFDFF}, {0xFE70, 0xFEFC}, {}, {}}}},
    {"hebrew", false, {{{0x5D0, 0x5F4}, {}, {}, {}, {}, {}, {}}}},
    {"devanagari", false, {{{0x900, 0x963}, {0x970, 0x97F}, {}, {}, {}, {}, {}}}},
    {"kana", true, {{{0x3041, 0x309F}, {0x30A1, 0x30FF}, {0x31F0, 0x31FF}, {0xFF66, 0xFF9F}, {}, {}, {}}}},
    {"hangul", false, {{{0xAC00, 0xD7AF}, {0x1100, 0x11FF}, {0x3130, 0x318F}, {}, {}, {}, {}}}},
    {"thai", true, {{{0xE01, 0xE4E}, {}, {}, {}, {}, {}, {}}}},
});

const Script* script_of(uint32_t c) {
  for (const Script& script : kScripts)
    for (const Range& range : script.ranges)
      if (c >= range.first && c <= range.last && range.last > 0) return &script;
  return nullptr;
}

class LanguageReward : public Reward {
 public:
  LanguageReward(std::vector<const Script*> targets, bool whole)
      : targets_(std::move(targets)), whole_(whole) {}

  // 1 for a text without words: nothing in it is in another language.
  double score(const Completion& c) const override {
    std::string_view text = whole_ ? c.text : c.parsed.reasoning;
    int64_t words = 0, ours = 0;
    const Script* word = nullptr;  // of the word that goes on
    bool pure = true;
    const auto end_word = [&] {
      if (word == nullptr) return;
      ++words;
      if (pure && is_target(word)) ++ours;
      word = nullptr;
      pure = true;
    };
    while (!text.empty()) {
      const text::Utf8Step step = text::utf8_step(text);
      text.remove_prefix(static_cast<size_t>(step.length));
      const Script* script = step.status == text::Utf8Status::kValid ? script_of(step.code_point) : nullptr;
      if (script == nullptr || script->by_character) end_word();
      if (script == nullptr) continue;
      if (word != nullptr && word != script) pure = false;  // a word of two scripts is in neither language
      if (word == nullptr) word = script;
      if (script->by_character) end_word();
    }
    end_word();
    return words == 0 ? 1 : static_cast<double>(ours) / static_cast<double>(words);
  }

 private:
  bool is_target(const Script* script) const {
    return std::find(targets_.begin(), targets_.end(), script) != targets_.end();
  }

  std::vector<const Script*> targets_;
  bool whole_;
};

}  // namespace

std::unique_ptr<Reward> make_language_reward(const base::Json& options) {
  OptionReader reader("language", options);
  const std::string names = reader.text("script", "latin");  // "han+kana" for Japanese
  const bool whole = reader.flag("whole", false);
  reader.reject_unknown();
  std::vector<const Script*> targets;
  for (size_t at = 0; at <= names.size();) {
    const size_t end = std::min(names.find('+', at), names.size());
    const std::string_view name = std::string_view(names).substr(at, end - at);
    const auto found =
        std::find_if(kScripts.begin(), kScripts.end(), [&](const Script& s) { return s.name == name; });
    if (found == kScripts.end()) {
      std::string known;
      for (const Script& script : kScripts) known += (known.empty() ? "" : ", ") + std::string(script.name);
      reader.fail("script", "no script '" + std::string(name) + "'; there are " + known);
    }
    targets.push_back(&*found);
    at = end + 1;
  }
  return std::make_unique<LanguageReward>(std::move(targets), whole);
}

}  // namespace hadal::posttrain
