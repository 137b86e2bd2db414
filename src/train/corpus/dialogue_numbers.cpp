// Questions about numbers: small sums, comparison, counting, and numbers as words.
#include <algorithm>

#include "train/corpus/dialogue_topics.h"

namespace hadal::train::corpus {

namespace {

std::string str(int value) { return std::to_string(value); }

// Numbers that a question uses: mostly small ones, which can be learnt; some up to 100.
int operand(const TopicContext& context) {
  const double size = context.random.uniform();
  return size < 0.4 ? context.between(0, 10) : size < 0.55 ? context.between(0, 20) : context.between(0, 99);
}

uint64_t fact(int kind, int a, int b) {
  return static_cast<uint64_t>(kind) * 1000003u + static_cast<uint64_t>(a) * 1009u + static_cast<uint64_t>(b);
}

// Whether the sum belongs to the side that speaks. That of b and a is the same fact as that of a and b.
bool sum_on_this_side(const TopicContext& context, int a, int b) {
  if (is_table_sum(a, b)) return context.side == DialogueSide::kTrain;
  return context.on_this_side(fact(1, std::min(a, b), std::max(a, b)));
}

// The tens and the ones apart, for all but the table's sums: too many to know by heart, easy in small steps.
std::string worked_sum(int a, int b) {
  const std::string whole = fill("{} + {} = {}.", {str(a), str(b), str(a + b)});
  if (is_table_sum(a, b)) return whole;
  const int ones = a % 10 + b % 10;
  const int tens = a - a % 10 + b - b % 10;
  std::string out;
  if (a >= 10 && b >= 10) out += fill("{} + {} = {}, ", {str(a - a % 10), str(b - b % 10), str(tens)});
  out += fill("{} + {} = {}, ", {str(a % 10), str(b % 10), str(ones)});
  out += fill("{} + {} = {}. So ", {str(tens), str(ones), str(tens + ones)});
  return out + whole;
}

// First the tens, then the ones are taken away.
std::string worked_difference(int a, int b) {
  const std::string whole = fill("{} - {} = {}.", {str(a), str(b), str(a - b)});
  if (a <= 20 || b <= 10 || b % 10 == 0) return whole;
  const int rest = a - (b - b % 10);
  return fill("{} - {} = {}, {} - {} = {}. So ",
              {str(a), str(b - b % 10), str(rest), str(rest), str(b % 10), str(a - b)}) +
         whole;
}

constexpr std::string_view kNames[] = {"Tom", "Anna", "Ben",   "Lucy", "Sam",  "Mary", "Jack", "Emma",
                                       "Max", "Lily", "Peter", "Rose", "John", "Kate", "Leo",  "Alice"};
constexpr std::string_view kThings[] = {"apples", "books", "coins",  "pens", "eggs",    "cakes",
                                        "stones", "stars", "balls",  "cups", "flowers", "stamps",
                                        "nuts",   "cards", "shells", "toys"};

}  // namespace

bool is_table_sum(int a, int b) { return (a < 10 && b < 10) || a % 10 == 0 || b % 10 == 0 || a + b <= 20; }

std::string number_in_words(int number) {
  static constexpr std::string_view kSmall[] = {"zero",    "one",     "two",       "three",    "four",
                                                "five",    "six",     "seven",     "eight",    "nine",
                                                "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                                "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
  static constexpr std::string_view kTens[] = {"",      "",      "twenty",  "thirty", "forty",
                                               "fifty", "sixty", "seventy", "eighty", "ninety"};
  if (number < 20) return std::string(kSmall[number]);
  if (number < 100) {
    std::string out(kTens[number / 10]);
    if (number % 10 != 0) out += "-" + std::string(kSmall[number % 10]);
    return out;
  }
  const int unit = number < 1000 ? 100 : 1000;
  std::string out = number_in_words(number / unit) + (unit == 100 ? " hundred" : " thousand");
  if (number % unit != 0) out += (number % unit < 100 ? " and " : " ") + number_in_words(number % unit);
  return out;
}

std::vector<Turn> ask_sum(const TopicContext& context) {
  const int a = operand(context);
  const int b = operand(context);
  if (!sum_on_this_side(context, a, b)) return {};
  std::vector<Turn> turns = {
      {fill(context.pick({"What is {} + {}?", "What is {} plus {}?", "How much is {} and {}?",
                          "Add {} and {}.", "{} + {} = ?", "What is the sum of {} and {}?",
                          "Calculate {} + {}.", "How much is {} + {}?"}),
            {str(a), str(b)}),
       worked_sum(a, b)}};
  const int c = context.between(1, 9);
  if (context.chance(0.15) && sum_on_this_side(context, a + b, c))
    turns.push_back({fill(context.pick({"Now add {}.", "And if you add {}?", "Plus {}?"}), {str(c)}),
                     worked_sum(a + b, c)});
  return turns;
}

std::vector<Turn> ask_difference(const TopicContext& context) {
  int a = operand(context);
  int b = operand(context);
  if (a < b) std::swap(a, b);
  if (!context.on_this_side(fact(2, b, a))) return {};
  return {{fill(context.pick({"What is {} - {}?", "What is {} minus {}?", "{} - {} = ?", "Calculate {} - {}.",
                              "How much is {} - {}?", "How much is {} minus {}?"}),
                {str(a), str(b)}),
           worked_difference(a, b)}};
}

std::vector<Turn> ask_product(const TopicContext& context) {
  int a = context.between(0, 10);
  int b = context.between(0, 10);
  while (!context.on_this_side(fact(3, std::min(a, b), std::max(a, b)))) {
    a = context.between(0, 12);
    b = context.between(0, 12);
  }
  if (a > 0 && context.chance(0.25))
    return {{fill(context.pick({"What is {} divided by {}?", "Divide {} by {}.", "What is {} / {}?"}),
                  {str(a * b), str(a)}),
             fill("{} / {} = {}.", {str(a * b), str(a), str(b)})}};
  return {{fill(context.pick({"What is {} times {}?", "What is {} * {}?", "Multiply {} by {}.",
                              "How much is {} times {}?", "What is the product of {} and {}?"}),
                {str(a), str(b)}),
           fill("{} * {} = {}.", {str(a), str(b), str(a * b)})}};
}

std::vector<Turn> ask_word_problem(const TopicContext& context) {
  const std::string name(context.one_of(std::span<const std::string_view>(kNames)));
  const std::string thing(context.one_of(std::span<const std::string_view>(kThings)));
  const int a = context.between(2, 21);
  const int b = context.between(2, 21);
  if (!sum_on_this_side(context, a, b)) return {};
  switch (context.random.below(4)) {
    case 0:
      return {{fill(context.pick({"{} has {} {} and gets {} more. How many {} does {} have now?",
                                  "{} had {} {} and found {} more. How many {} has {} now?",
                                  "{} has {} {} and buys {} more. How many {} does {} have?"}),
                    {name, str(a), thing, str(b), thing, name}),
               worked_sum(a, b) + fill(" {} has {} {}.", {name, str(a + b), thing})}};
    case 1: {
      const int most = std::max(a, b);
      const int least = std::min(a, b);
      return {{fill(context.pick({"{} has {} {} and gives away {}. How many {} are left?",
                                  "{} had {} {} and lost {}. How many {} are left?"}),
                    {name, str(most), thing, str(least), thing}),
               worked_difference(most, least) + fill(" There are {} {} left.", {str(most - least), thing})}};
    }
    case 2: {
      const std::string other(context.one_of(std::span<const std::string_view>(kNames)));
      if (other == name) return {};
      return {{fill("{} has {} {} and {} has {} {}. How many {} do they have together?",
                    {name, str(a), thing, other, str(b), thing, thing}),
               worked_sum(a, b) + fill(" Together they have {} {}.", {str(a + b), thing})}};
    }
    default: {
      const std::string other(context.one_of(std::span<const std::string_view>(kNames)));
      if (other == name || a == b) return {};
      return {{fill("{} has {} {} and {} has {}. Who has more?", {name, str(a), thing, other, str(b)}),
               fill("{} has more {}, because {} is more than {}.",
                    {a > b ? name : other, thing, str(std::max(a, b)), str(std::min(a, b))})}};
    }
  }
}

std::vector<Turn> ask_comparison(const TopicContext& context) {
  const int a = context.chance(0.3) ? context.between(0, 999) : context.between(0, 99);
  const int b = context.chance(0.3) ? context.between(0, 999) : context.between(0, 99);
  if (a == b || !context.on_this_side(fact(4, std::min(a, b), std::max(a, b)))) return {};
  const int high = std::max(a, b);
  const int low = std::min(a, b);
  switch (context.random.below(3)) {
    case 0:
      return {{fill(context.pick({"Which number is bigger, {} or {}?", "Which is more, {} or {}?",
                                  "Which is larger: {} or {}?"}),
                    {str(a), str(b)}),
               fill("{} is bigger than {}.", {str(high), str(low)})}};
    case 1:
      return {{fill(context.pick({"Which number is smaller, {} or {}?", "Which is less, {} or {}?"}),
                    {str(a), str(b)}),
               fill("{} is smaller than {}.", {str(low), str(high)})}};
    default:
      return {{fill(context.pick({"Is {} bigger than {}?", "Is {} more than {}?"}), {str(a), str(b)}),
               fill(a > b ? "Yes, {} is bigger than {}." : "No, {} is smaller than {}.", {str(a), str(b)})}};
  }
}

std::vector<Turn> ask_counting(const TopicContext& context) {
  const int start = context.chance(0.6) ? context.between(0, 5) : context.between(0, 90);
  const bool by_two = context.chance(0.15);
  const int end = start + context.between(3, 9) * (by_two ? 2 : 1);
  const bool down = context.chance(0.25);
  if (!context.on_this_side(fact(5, start, end))) return {};
  std::vector<std::string> numbers;
  for (int n = start; n <= end; n += by_two ? 2 : 1) numbers.push_back(str(n));
  if (down) std::reverse(numbers.begin(), numbers.end());
  std::string answer;
  for (const std::string& number : numbers) answer += (answer.empty() ? "" : ", ") + number;
  return {{fill(context.pick(
                    {"Count from {} to {}.", "Please count from {} to {}.", "Can you count from {} to {}?"}),
                {numbers.front(), numbers.back()}) +
               (by_two ? " Count by twos." : ""),
           answer + "."}};
}

std::vector<Turn> ask_neighbour(const TopicContext& context) {
  const int number = context.chance(0.7) ? context.between(1, 100) : context.between(1, 999);
  if (!context.on_this_side(fact(6, number, 0))) return {};
  switch (context.random.below(3)) {
    case 0:
      return {{fill(context.pick(
                        {"What number comes after {}?", "What comes after {}?", "Which number follows {}?"}),
                    {str(number)}),
               fill("After {} comes {}.", {str(number), str(number + 1)})}};
    case 1:
      return {{fill(context.pick({"What number comes before {}?", "What comes before {}?"}), {str(number)}),
               fill("Before {} comes {}.", {str(number), str(number - 1)})}};
    default: {
      const bool twice = context.chance(0.5);
      const int base = number % 50 + 1;
      if (!context.on_this_side(fact(7, base, 0))) return {};
      if (twice)
        return {{fill(context.pick({"What is twice {}?", "What is the double of {}?", "Double {}."}),
                      {str(base)}),
                 fill("Twice {} is {}.", {str(base), str(2 * base)})}};
      return {{fill(context.pick({"What is half of {}?", "What is the half of {}?"}), {str(2 * base)}),
               fill("Half of {} is {}.", {str(2 * base), str(base)})}};
    }
  }
}

std::vector<Turn> ask_even_odd(const TopicContext& context) {
  const int number = context.between(0, 200);
  if (!context.on_this_side(fact(8, number, 0))) return {};
  const std::string kind = number % 2 == 0 ? "even" : "odd";
  return {{fill(context.pick({"Is {} even or odd?", "Is the number {} even or odd?",
                              "Is {} an even number or an odd number?"}),
                {str(number)}),
           fill("{} is {}.", {str(number), kind})}};
}

std::vector<Turn> ask_number_word(const TopicContext& context) {
  const int number = context.chance(0.7) ? context.between(0, 100) : context.between(0, 2000);
  if (!context.on_this_side(fact(9, number, 0))) return {};
  const std::string words = number_in_words(number);
  if (context.chance(0.5))
    return {{fill(context.pick({"Write {} in words.", "How do you write {} in words?", "How do you say {}?"}),
                  {str(number)}),
             fill("{} in words is {}.", {str(number), words})}};
  return {
      {fill(context.pick({"Write {} as a number.", "What number is {}?", "Write the number {} in digits."}),
            {words}),
       fill("{} is {}.", {capitalised(words), str(number)})}};
}

std::vector<Turn> ask_sort_numbers(const TopicContext& context) {
  std::vector<int> numbers;
  while (numbers.size() < 3) {
    const int number = context.between(0, 60);
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) numbers.push_back(number);
  }
  if (!context.on_this_side(fact(10, numbers[0], numbers[1]) + static_cast<uint64_t>(numbers[2]) * 7919u))
    return {};
  const auto listed = [&] {
    std::vector<std::string> out;
    for (const int number : numbers) out.push_back(str(number));
    return join_list(out);
  };
  const std::string given = listed();
  std::sort(numbers.begin(), numbers.end());
  switch (context.random.below(3)) {
    case 0:
      return {{"Which number is the biggest: " + given + "?",
               fill("The biggest number is {}.", {str(numbers[2])})}};
    case 1:
      return {{"Which number is the smallest: " + given + "?",
               fill("The smallest number is {}.", {str(numbers[0])})}};
    default:
      return {{fill(context.pick({"Sort these numbers: {}.", "Put these numbers in order: {}."}), {given}),
               "In order: " + listed() + "."}};
  }
}

}  // namespace hadal::train::corpus
