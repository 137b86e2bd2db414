// Small logic puzzles: who is the tallest (a transitive order), and knights and knaves (Smullyan).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "eval/tasks/kinds.h"
#include "eval/verify/answer_text.h"

namespace hadal::eval {
namespace {

// `count` different people, by a letter each.
std::string draw_people(base::Random& random, int count) {
  std::string out;
  while (static_cast<int>(out.size()) < count) {
    const char c = static_cast<char>('A' + random.below(26));
    if (out.find(c) == std::string::npos) out += c;
  }
  return out;
}

Problem draw_order(int people, base::Random& random) {
  const std::string row = draw_people(random, people);  // the tallest first
  const bool tallest = random.below(2) == 0;
  std::vector<size_t> order;
  for (size_t i = 0; i + 1 < row.size(); ++i) order.push_back(i);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  Problem out;
  base::Json taller = base::Json::array();
  for (const size_t i : order) {
    const char a = row[i], b = row[i + 1];
    const bool turned = random.below(2) == 0;
    out.question +=
        turned ? fmt::format("{} is shorter than {}. ", b, a) : fmt::format("{} is taller than {}. ", a, b);
    out.brief += turned ? fmt::format("{}<{} ", b, a) : fmt::format("{}>{} ", a, b);
    taller.push_back({std::string(1, a), std::string(1, b)});
  }
  out.question += fmt::format("Who is the {}? Answer with the letter.", tallest ? "tallest" : "shortest");
  out.brief += tallest ? "max" : "min";
  out.answer = tallest ? row.front() : row.back();
  for (const char c : row) out.steps += fmt::format("{}{}", out.steps.empty() ? "" : ">", c);
  out.key = (tallest ? "max " : "min ") + row;
  out.facts = {{"taller", taller}, {"tallest", tallest}};
  return out;
}

bool correct_order(const base::Json& facts, std::string_view answer) {
  const std::string said(trim(answer));
  const bool tallest = facts.at("tallest").get<bool>();
  bool known = false;
  for (const auto& pair : facts.at("taller")) {
    known = known || pair[0] == said || pair[1] == said;
    if (pair[tallest ? 1 : 0] == said) return false;  // someone is taller (shorter)
  }
  return known;
}

// What one of the people says about `a`, or about `a` and `b`.
struct Claim {
  enum class Kind { kKnight, kKnave, kSame, kDifferent } kind;
  size_t speaker, a, b;

  bool holds(uint32_t knights) const {
    const bool first = (knights >> a & 1) != 0, second = (knights >> b & 1) != 0;
    switch (kind) {
      case Kind::kKnight:
        return first;
      case Kind::kKnave:
        return !first;
      case Kind::kSame:
        return first == second;
      case Kind::kDifferent:
        break;
    }
    return first != second;
  }
};

// Knights say what is true, knaves what is not. Bit i: person i is a knight.
bool consistent(const std::vector<Claim>& claims, uint32_t knights) {
  return std::all_of(claims.begin(), claims.end(),
                     [&](const Claim& c) { return c.holds(knights) == ((knights >> c.speaker & 1) != 0); });
}

Claim draw_claim(base::Random& random, size_t speaker, size_t people) {
  Claim claim{static_cast<Claim::Kind>(random.below(4)), speaker, random.below(people - 1), 0};
  if (claim.a >= speaker) ++claim.a;  // of someone else
  claim.b = speaker;
  if (people > 2 && random.below(2) == 0) {
    do claim.b = random.below(people);
    while (claim.b == claim.a);
  }
  return claim;
}

std::string roles(const std::string& people, uint32_t knights) {
  std::string out;
  for (size_t i = 0; i < people.size(); ++i)
    out += fmt::format("{}{} {}", i > 0 ? ", " : "", people[i], (knights >> i & 1) != 0 ? "knight" : "knave");
  return out;
}

void tell(const Claim& claim, const std::string& people, Problem* out) {
  const char who = people[claim.speaker], a = people[claim.a], b = people[claim.b];
  switch (claim.kind) {
    case Claim::Kind::kKnight:
    case Claim::Kind::kKnave: {
      const bool knight = claim.kind == Claim::Kind::kKnight;
      out->question += fmt::format("{} says: {} is a {}. ", who, a, knight ? "knight" : "knave");
      out->brief += fmt::format("{}:{}{} ", who, a, knight ? "+" : "-");
      return;
    }
    case Claim::Kind::kSame:
    case Claim::Kind::kDifferent: {
      const bool same = claim.kind == Claim::Kind::kSame;
      out->question +=
          fmt::format("{} says: {} and {} are {}. ", who, a, b, same ? "of the same kind" : "different");
      out->brief += fmt::format("{}:{}{}{} ", who, a, same ? "=" : "!", b);
    }
  }
}

Problem draw_knights(int count, base::Random& random) {
  const std::string people = draw_people(random, count);
  std::vector<Claim> claims;
  std::vector<uint32_t> solutions;
  do {
    claims.clear();
    solutions.clear();
    for (size_t i = 0; i < people.size(); ++i) claims.push_back(draw_claim(random, i, people.size()));
    for (uint32_t knights = 0; knights < 1u << people.size(); ++knights)
      if (consistent(claims, knights)) solutions.push_back(knights);
  } while (solutions.size() != 1);
  Problem out;
  out.question = "Knights always tell the truth, knaves always lie. ";
  base::Json said = base::Json::array();
  for (const Claim& claim : claims) {
    tell(claim, people, &out);
    said.push_back({static_cast<int>(claim.kind), claim.speaker, claim.a, claim.b});
  }
  out.brief += "?";
  out.question += fmt::format("What are they? Answer like this: {}.", roles(people, 0));
  out.key = out.brief;
  out.answer = roles(people, solutions[0]);
  for (uint32_t knights = 0; knights <= solutions[0]; ++knights)  // one after the other, until one fits
    out.steps += fmt::format("{}{}: {}", knights > 0 ? "; " : "", roles(people, knights),
                             knights == solutions[0] ? "fits" : "no");
  out.facts = {{"people", people}, {"claims", said}};
  return out;
}

// "P knight, Q knave", also with colons, "is a", + and -, in any order.
bool parse_roles(std::string_view answer, const std::string& people, uint32_t* knights) {
  std::vector<std::string> words(1);
  for (const char c : answer) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == ',' || c == ':' || c == '.' || c == '=')
      words.emplace_back();
    else if (c == '+' || c == '-')
      words.insert(words.end(), {std::string(1, c), ""});
    else
      words.back() += c;
  }
  std::erase_if(words, [](const std::string& w) { return w.empty() || w == "is" || w == "a" || w == "and"; });
  if (words.size() != 2 * people.size()) return false;
  uint32_t seen = 0;
  *knights = 0;
  for (size_t i = 0; i < words.size(); i += 2) {
    const size_t who = words[i].size() == 1 ? people.find(words[i][0]) : std::string::npos;
    if (who == std::string::npos || (seen >> who & 1) != 0) return false;
    seen |= 1u << who;
    const std::string& role = words[i + 1];
    if (role == "knight" || role == "+")
      *knights |= 1u << who;
    else if (role != "knave" && role != "-")
      return false;
  }
  return true;
}

bool correct_knights(const base::Json& facts, std::string_view answer) {
  uint32_t knights = 0;
  if (!parse_roles(answer, facts.at("people").get_ref<const std::string&>(), &knights)) return false;
  std::vector<Claim> claims;
  for (const auto& c : facts.at("claims"))
    claims.push_back({static_cast<Claim::Kind>(c[0].get<int>()), c[1].get<size_t>(), c[2].get<size_t>(),
                      c[3].get<size_t>()});
  return consistent(claims, knights);
}

}  // namespace

Problem draw_logic(int level, base::Random& random) {
  return level <= 3 ? draw_order(level + 2, random) : draw_knights(level - 2, random);
}

bool correct_logic(const Problem& problem, std::string_view answer) {
  if (answer.size() > 1000) return false;
  return problem.facts.contains("claims") ? correct_knights(problem.facts, answer)
                                          : correct_order(problem.facts, answer);
}

}  // namespace hadal::eval
