// Very short stories from a small grammar: a hero, a wish or a trouble, a helper, an ending.
#include "train/corpus/dialogue_topics.h"

namespace hadal::train::corpus {

namespace {

struct Hero {
  std::string_view name, kind, he, his, him;
};
constexpr Hero kHeroes[] = {{"Tom", "boy", "he", "his", "him"},     {"Anna", "girl", "she", "her", "her"},
                            {"Ben", "boy", "he", "his", "him"},     {"Lucy", "girl", "she", "her", "her"},
                            {"Max", "dog", "he", "his", "him"},     {"Mia", "cat", "she", "her", "her"},
                            {"Pip", "mouse", "he", "his", "him"},   {"Ruby", "fox", "she", "her", "her"},
                            {"Bruno", "bear", "he", "his", "him"},  {"Daisy", "rabbit", "she", "her", "her"},
                            {"Oscar", "owl", "he", "his", "him"},   {"Lily", "girl", "she", "her", "her"},
                            {"Jack", "sailor", "he", "his", "him"}, {"Rose", "princess", "she", "her", "her"},
                            {"Karl", "king", "he", "his", "him"},   {"Nora", "teacher", "she", "her", "her"},
                            {"Otto", "farmer", "he", "his", "him"}, {"Ella", "duck", "she", "her", "her"}};
constexpr std::string_view kFriends[] = {"an old owl",     "a small bird", "a kind woman", "a wise man",
                                         "a little mouse", "a big dog",    "a gray cat",   "a young girl",
                                         "a brave boy",    "a quiet horse"};
constexpr std::string_view kPlaces[] = {
    "in a small house by the sea", "in a deep forest", "on a green hill",  "in a quiet village",
    "near a long river",           "in a big city",    "on a little farm", "at the foot of a mountain"};
constexpr std::string_view kThings[] = {"red ball",    "golden key", "old book", "warm coat",
                                        "silver ring", "small boat", "blue hat", "little bell",
                                        "sweet cake",  "bright lamp"};
constexpr std::string_view kWhere[] = {"under a tree",       "behind the door", "in the grass",
                                       "near the water",     "under the bed",   "in a dark cave",
                                       "on top of the hill", "beside the road"};
constexpr std::string_view kAdjectives[] = {"kind",  "clever", "brave",  "curious",
                                            "quiet", "happy",  "gentle", "cheerful"};
constexpr std::string_view kWeather[] = {"sunny", "cold", "rainy", "windy", "warm", "snowy", "bright"};
constexpr std::string_view kEndings[] = {"They were friends from that day on.",
                                         "That night everyone slept well.", "And they all lived happily.",
                                         "It was a good day.", "They laughed and went home together."};

std::string pick_from(const TopicContext& context, std::span<const std::string_view> list) {
  return std::string(context.one_of(list));
}

std::string tell(const TopicContext& context, const Hero& hero) {
  const std::string name(hero.name);
  const std::string kind(hero.kind);
  const std::string he(hero.he);
  const std::string his(hero.his);
  const std::string him(hero.him);
  const std::string He = capitalised(he);
  const std::string thing = pick_from(context, kThings);
  const std::string where = pick_from(context, kWhere);
  const std::string place = pick_from(context, kPlaces);
  const std::string weather = pick_from(context, kWeather);
  const std::string helper = pick_from(context, kFriends);
  const std::string short_helper = "the" + helper.substr(helper.find(' '));
  const std::string adjective = pick_from(context, kAdjectives);
  const std::string ending = pick_from(context, kEndings);
  std::string out =
      fill("Once there was {} {} named {}. {} lived {}.", {with_article(adjective), kind, name, He, place});
  switch (context.random.below(5)) {
    case 0:
      out +=
          fill(" One {} day {} lost {} {}. {} looked everywhere, but {} could not find it. Then {} met {}.",
               {weather, name, his, thing, He, he, he, helper});
      out += fill(" \"I saw it {},\" said {}. {} ran there and found the {}. \"Thank you!\" said {}. {}",
                  {where, short_helper, name, thing, name, ending});
      break;
    case 1:
      out +=
          fill(" One {} day {} found {} {}. \"Whose is this?\" {} asked. {} came and said, \"It is mine.\"",
               {weather, name, with_article(thing), where, he, capitalised(helper)});
      out += fill(" {} gave the {} back. {} was very glad and thanked {}. {}",
                  {name, thing, capitalised(short_helper), him, ending});
      break;
    case 2:
      out += fill(" {} was often alone and wanted a friend. One {} day {} heard a cry {}. It was {}.",
                  {name, weather, he, where, helper});
      out += fill(" \"I am lost,\" said {}. \"Do not be afraid,\" said {}. \"I will help you.\" {}",
                  {short_helper, name, ending});
      break;
    case 3:
      out += fill(" {} wanted {} more than anything. Every day {} worked hard and saved a coin.",
                  {name, with_article(thing), he});
      out += fill(
          " After a long time {} could buy the {}. But then {} met {} who had nothing. {} gave the {} away "
          "and was happy. {}",
          {he, thing, he, helper, name, thing, ending});
      break;
    default:
      out += fill(
          " It was a dark night and {} could not sleep. {} heard a noise {}. {} took a light and went to "
          "look.",
          {name, He, where, name});
      out += fill(" It was only {} with {}. {} laughed, and {} laughed too. {}",
                  {helper, with_article(thing), name, short_helper, ending});
      break;
  }
  return out;
}

}  // namespace

std::vector<Turn> tell_story(const TopicContext& context) {
  const Hero& hero = context.one_of(std::span<const Hero>(kHeroes));
  const std::string kind(hero.kind);
  std::string question;
  if (context.chance(0.5))
    question = std::string(
        context.pick({"Tell me a story.", "Tell me a short story.", "Can you tell me a story?",
                      "I want to hear a story.", "Please tell me a story.", "Write a short story."}));
  else
    question =
        fill(context.pick({"Tell me a story about {}.", "Write a story about {}.",
                           "Can you tell me a story about {}?", "Tell me a short story about {}."}),
             {context.chance(0.7) ? with_article(kind)
                                  : fill("{} named {}", {with_article(kind), std::string(hero.name)})});
  return {{question, tell(context, hero)}};
}

}  // namespace hadal::train::corpus
