// Facts that a table holds: the calendar, the alphabet, capitals, animals, and things that every child knows.
#include "train/corpus/dialogue_topics.h"

namespace hadal::train::corpus {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::string_view kDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                      "Friday", "Saturday", "Sunday"};
constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr std::string_view kMonthDays[] = {"31", "28", "31", "30", "31", "30",
                                           "31", "31", "30", "31", "30", "31"};
constexpr std::string_view kOrdinals[] = {"first",   "second", "third", "fourth", "fifth",    "sixth",
                                          "seventh", "eighth", "ninth", "tenth",  "eleventh", "twelfth"};

constexpr Pair kCapitals[] = {{"France", "Paris"},
                              {"Germany", "Berlin"},
                              {"Italy", "Rome"},
                              {"Spain", "Madrid"},
                              {"Portugal", "Lisbon"},
                              {"England", "London"},
                              {"Ireland", "Dublin"},
                              {"Scotland", "Edinburgh"},
                              {"Austria", "Vienna"},
                              {"Switzerland", "Bern"},
                              {"Belgium", "Brussels"},
                              {"the Netherlands", "Amsterdam"},
                              {"Denmark", "Copenhagen"},
                              {"Norway", "Oslo"},
                              {"Sweden", "Stockholm"},
                              {"Finland", "Helsinki"},
                              {"Poland", "Warsaw"},
                              {"Hungary", "Budapest"},
                              {"Greece", "Athens"},
                              {"Turkey", "Ankara"},
                              {"Russia", "Moscow"},
                              {"Ukraine", "Kyiv"},
                              {"Romania", "Bucharest"},
                              {"Bulgaria", "Sofia"},
                              {"Egypt", "Cairo"},
                              {"Kenya", "Nairobi"},
                              {"Ethiopia", "Addis Ababa"},
                              {"Nigeria", "Abuja"},
                              {"Morocco", "Rabat"},
                              {"India", "New Delhi"},
                              {"China", "Beijing"},
                              {"Japan", "Tokyo"},
                              {"South Korea", "Seoul"},
                              {"Thailand", "Bangkok"},
                              {"Vietnam", "Hanoi"},
                              {"Indonesia", "Jakarta"},
                              {"Australia", "Canberra"},
                              {"New Zealand", "Wellington"},
                              {"Canada", "Ottawa"},
                              {"Mexico", "Mexico City"},
                              {"the United States", "Washington"},
                              {"Cuba", "Havana"},
                              {"Brazil", "Brasilia"},
                              {"Argentina", "Buenos Aires"},
                              {"Chile", "Santiago"},
                              {"Peru", "Lima"},
                              {"Colombia", "Bogota"},
                              {"Iceland", "Reykjavik"},
                              {"Iran", "Tehran"},
                              {"Iraq", "Baghdad"}};

struct Animal {
  std::string_view name, sound, young, home, legs;
};
constexpr Animal kAnimals[] = {
    {"dog", "barks", "puppy", "kennel", "four"},   {"cat", "meows", "kitten", "house", "four"},
    {"cow", "moos", "calf", "barn", "four"},       {"horse", "neighs", "foal", "stable", "four"},
    {"sheep", "bleats", "lamb", "fold", "four"},   {"goat", "bleats", "kid", "barn", "four"},
    {"pig", "grunts", "piglet", "sty", "four"},    {"lion", "roars", "cub", "den", "four"},
    {"bear", "growls", "cub", "den", "four"},      {"wolf", "howls", "pup", "den", "four"},
    {"duck", "quacks", "duckling", "pond", "two"}, {"hen", "clucks", "chick", "coop", "two"},
    {"owl", "hoots", "owlet", "nest", "two"},      {"bird", "sings", "chick", "nest", "two"},
    {"frog", "croaks", "tadpole", "pond", "four"}, {"bee", "buzzes", "larva", "hive", "six"},
    {"mouse", "squeaks", "pup", "hole", "four"},   {"snake", "hisses", "hatchling", "hole", "no"}};

// Question|answer. A second way to ask may follow after another bar.
constexpr std::string_view kFacts[][3] = {
    {"What color is the sky?", "The sky is blue.", "Which color does the sky have on a clear day?"},
    {"What color is grass?", "Grass is green.", "Which color is grass?"},
    {"What color is snow?", "Snow is white.", "Which color is snow?"},
    {"What color is blood?", "Blood is red.", "Which color is blood?"},
    {"What color is a banana?", "A ripe banana is yellow.", "Which color is a banana?"},
    {"What color is coal?", "Coal is black.", "Which color is coal?"},
    {"What color do you get from blue and yellow?", "Blue and yellow make green.",
     "What do blue and yellow make?"},
    {"What color do you get from red and yellow?", "Red and yellow make orange.",
     "What do red and yellow make?"},
    {"What color do you get from red and white?", "Red and white make pink.", "What do red and white make?"},
    {"How many legs does a spider have?", "A spider has eight legs.", "How many legs has a spider?"},
    {"How many legs does an insect have?", "An insect has six legs.", "How many legs has an insect?"},
    {"How many fingers are on one hand?", "There are five fingers on one hand.",
     "How many fingers has a hand?"},
    {"How many eyes do people have?", "People have two eyes.", "How many eyes does a person have?"},
    {"How many wheels does a car have?", "A car has four wheels.", "How many wheels has a car?"},
    {"How many wheels does a bicycle have?", "A bicycle has two wheels.", "How many wheels has a bicycle?"},
    {"How many sides does a triangle have?", "A triangle has three sides.", "How many sides has a triangle?"},
    {"How many sides does a square have?", "A square has four sides.", "How many sides has a square?"},
    {"How many letters are in the alphabet?", "There are 26 letters in the English alphabet.",
     "How many letters does the alphabet have?"},
    {"How many minutes are in an hour?", "There are 60 minutes in an hour.", "How many minutes has an hour?"},
    {"How many seconds are in a minute?", "There are 60 seconds in a minute.",
     "How many seconds has a minute?"},
    {"How many hours are in a day?", "There are 24 hours in a day.", "How many hours does a day have?"},
    {"How many days are in a week?", "There are seven days in a week.", "How many days does a week have?"},
    {"How many days are in a year?", "There are 365 days in a year, and 366 in a leap year.",
     "How many days has a year?"},
    {"How many months are in a year?", "There are twelve months in a year.",
     "How many months does a year have?"},
    {"How many weeks are in a year?", "There are 52 weeks in a year.", "How many weeks does a year have?"},
    {"How many years are in a century?", "There are 100 years in a century.", "How long is a century?"},
    {"How many seasons are there?", "There are four seasons: spring, summer, autumn and winter.",
     "What are the seasons?"},
    {"How many planets are there?", "There are eight planets in our solar system.",
     "How many planets go round the sun?"},
    {"What is the largest planet?", "The largest planet is Jupiter.", "Which planet is the largest?"},
    {"Which planet do we live on?", "We live on the planet Earth.", "On what planet do people live?"},
    {"Which planet is closest to the sun?", "The planet closest to the sun is Mercury.",
     "What planet is nearest to the sun?"},
    {"Which planet is red?", "Mars is the red planet.", "What is the red planet called?"},
    {"What is the sun?", "The sun is a star. It gives us light and warmth.", "Is the sun a star?"},
    {"What is the moon?", "The moon goes around the Earth. It shines at night.",
     "What goes around the Earth?"},
    {"What is ice?", "Ice is frozen water.", "What is ice made of?"},
    {"What is rain?", "Rain is water that falls from the clouds.", "Where does rain come from?"},
    {"At what temperature does water freeze?", "Water freezes at 0 degrees Celsius.",
     "When does water freeze?"},
    {"At what temperature does water boil?", "Water boils at 100 degrees Celsius.", "When does water boil?"},
    {"Where does the sun rise?", "The sun rises in the east.", "In which direction does the sun rise?"},
    {"Where does the sun set?", "The sun sets in the west.", "In which direction does the sun set?"},
    {"Where do fish live?", "Fish live in water.", "Where does a fish live?"},
    {"What do bees make?", "Bees make honey.", "Who makes honey?"},
    {"What do cows give us?", "Cows give us milk.", "Where does milk come from?"},
    {"What do hens lay?", "Hens lay eggs.", "Where do eggs come from?"},
    {"What do we get from sheep?", "We get wool from sheep.", "Where does wool come from?"},
    {"What is bread made of?", "Bread is made of flour and water.", "How is bread made?"},
    {"What is paper made of?", "Paper is made of wood.", "Where does paper come from?"},
    {"What is cheese made of?", "Cheese is made of milk.", "Where does cheese come from?"},
    {"What is butter made of?", "Butter is made of cream from milk.", "Where does butter come from?"},
    {"What do we see with?", "We see with our eyes.", "What are eyes for?"},
    {"What do we hear with?", "We hear with our ears.", "What are ears for?"},
    {"What do we smell with?", "We smell with our nose.", "What is a nose for?"},
    {"What do we walk with?", "We walk with our legs and feet.", "What are legs for?"},
    {"What do we write with?", "We write with a pen or a pencil.", "What is a pen for?"},
    {"What do we cut with?", "We cut with a knife or with scissors.", "What is a knife for?"},
    {"What does a baker do?", "A baker makes bread and cakes.", "Who makes bread?"},
    {"What does a teacher do?", "A teacher helps people to learn.", "Who works in a school?"},
    {"What does a doctor do?", "A doctor helps sick people.", "Who helps sick people?"},
    {"What does a farmer do?", "A farmer grows food and keeps animals.", "Who works on a farm?"},
    {"What does a sailor do?", "A sailor works on a ship.", "Who works on a ship?"},
    {"What does a cook do?", "A cook makes food.", "Who works in a kitchen?"},
    {"What is the largest ocean?", "The largest ocean is the Pacific Ocean.", "Which ocean is the largest?"},
    {"What is the highest mountain?", "The highest mountain is Mount Everest.",
     "Which mountain is the highest?"},
    {"What is the largest animal?", "The largest animal is the blue whale.", "Which animal is the largest?"},
    {"What is the tallest animal?", "The tallest animal is the giraffe.", "Which animal is the tallest?"},
    {"What is the fastest land animal?", "The fastest land animal is the cheetah.",
     "Which animal runs the fastest?"},
    {"What is the season of snow?", "Winter is the season of snow.", "Which season is the coldest?"},
    {"Which season is the hottest?", "Summer is the hottest season.", "When is it hot?"},
    {"Who wrote Pride and Prejudice?", "Jane Austen wrote Pride and Prejudice.",
     "Who is the author of Pride and Prejudice?"},
    {"Who wrote Emma?", "Jane Austen wrote Emma.", "Who is the author of Emma?"},
    {"Who wrote Moby Dick?", "Herman Melville wrote Moby Dick.", "Who is the author of Moby Dick?"},
    {"Who was the first president of the United States?",
     "George Washington was the first president of the United States.",
     "Who was the first American president?"},
    {"What is Python?", "Python is a programming language.", "Do you know Python?"},
    {"What is SQLite?", "SQLite is a small database that works inside a program.", "Do you know SQLite?"},
    {"What is PostgreSQL?", "PostgreSQL is a database system.", "Do you know PostgreSQL?"},
    {"What is a computer?", "A computer is a machine that follows a program.", "What does a computer do?"},
    {"What is a database?", "A database keeps data in order, so that one can find it again.",
     "What is a database for?"},
};

// What a text calls "the day after Monday", with its answer.
std::vector<Turn> neighbours(const TopicContext& context, std::span<const std::string_view> cycle,
                             std::string_view kind) {
  const size_t i = context.random.below(cycle.size());
  const bool after = context.chance(0.6);
  const size_t n = cycle.size();
  const std::string given(cycle[i]);
  const std::string other(cycle[after ? (i + 1) % n : (i + n - 1) % n]);
  const std::string side = after ? "after" : "before";
  return {{fill(context.pick({"What {} comes {} {}?", "Which {} is {} {}?", "What is the {} {} {}?"}),
                {std::string(kind), side, given}),
           fill("{} {} comes {}.", {capitalised(side), given, other})}};
}

}  // namespace

std::vector<Turn> ask_calendar(const TopicContext& context) {
  switch (context.random.below(6)) {
    case 0:
    case 1:
      return neighbours(context, kDays, "day");
    case 2:
      return neighbours(context, kMonths, "month");
    case 3: {
      const size_t month = context.random.below(12);
      return {
          {fill(context.pick({"How many days are in {}?", "How many days does {} have?"}),
                {std::string(kMonths[month])}),
           fill("There are {} days in {}.", {std::string(kMonthDays[month]), std::string(kMonths[month])}) +
               (month == 1 ? " In a leap year there are 29." : "")}};
    }
    case 4: {
      const size_t month = context.random.below(12);
      return {{fill(context.pick({"What is the {} month of the year?", "Which month is the {}?"}),
                    {std::string(kOrdinals[month])}),
               fill("The {} month of the year is {}.",
                    {std::string(kOrdinals[month]), std::string(kMonths[month])})}};
    }
    default: {
      const bool days = context.chance(0.6);
      std::vector<std::string> names;
      if (days)
        names.assign(std::begin(kDays), std::end(kDays));
      else
        names.assign(std::begin(kMonths), std::end(kMonths));
      return {{days
                   ? std::string(context.pick({"What are the days of the week?", "Name the days of the week.",
                                               "Tell me the days of the week."}))
                   : std::string(context.pick({"What are the months of the year?",
                                               "Name the months of the year.", "Tell me the months."})),
               fill(days ? "The days of the week are {}." : "The months of the year are {}.",
                    {join_list(names)})}};
    }
  }
}

std::vector<Turn> ask_alphabet(const TopicContext& context) {
  const int i = context.between(1, 24);
  const auto letter = [](int at) { return std::string(1, static_cast<char>('a' + at)); };
  switch (context.random.below(4)) {
    case 0:
      return {{fill(context.pick({"What letter comes after {}?", "Which letter is after {}?",
                                  "What is the next letter after {}?"}),
                    {letter(i)}),
               fill("After {} comes {}.", {letter(i), letter(i + 1)})}};
    case 1:
      return {
          {fill(context.pick({"What letter comes before {}?", "Which letter is before {}?"}), {letter(i)}),
           fill("Before {} comes {}.", {letter(i), letter(i - 1)})}};
    case 2: {
      const std::string given =
          context.chance(0.4) ? std::string(1, "aeiou"[context.random.below(5)]) : letter(i);
      const bool vowel = given.find_first_of("aeiou") != std::string::npos;
      return {{fill(context.pick({"Is {} a vowel?", "Is the letter {} a vowel or a consonant?"}), {given}),
               fill(vowel ? "The letter {} is a vowel." : "The letter {} is a consonant.", {given})}};
    }
    default:
      return {
          {std::string(context.pick({"Say the alphabet.", "Write the alphabet.", "What is the alphabet?"})),
           "a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z."}};
  }
}

std::vector<Turn> ask_capital(const TopicContext& context) {
  const Pair& pair = context.one_of(std::span<const Pair>(kCapitals));
  const std::string country(pair.first);
  const std::string city(pair.second);
  if (context.chance(0.3))
    return {{fill(context.pick(
                      {"{} is the capital of which country?", "Where is {}?", "In which country is {}?"}),
                  {city}),
             fill("{} is the capital of {}.", {city, country})}};
  return {{fill(context.pick({"What is the capital of {}?", "What is the capital city of {}?",
                              "Tell me the capital of {}.", "Which city is the capital of {}?"}),
                {country}),
           fill("The capital of {} is {}.", {country, city})}};
}

std::vector<Turn> ask_animal(const TopicContext& context) {
  const Animal& animal = context.one_of(std::span<const Animal>(kAnimals));
  const std::string name(animal.name);
  const std::string a = with_article(name);
  switch (context.random.below(4)) {
    case 0:
      return {
          {fill(context.pick({"What sound does {} make?", "What does {} say?", "What noise does {} make?"}),
                {a}),
           fill("{} {}.", {capitalised(a), std::string(animal.sound)})}};
    case 1:
      return {{fill(context.pick({"What is a young {} called?", "What is a baby {} called?"}), {name}),
               fill("A young {} is called {}.", {name, with_article(std::string(animal.young))})}};
    case 2:
      return {{fill(context.pick({"Where does {} live?", "What is the home of {}?"}), {a}),
               fill("{} lives in {}.", {capitalised(a), with_article(std::string(animal.home))})}};
    default:
      return {{fill(context.pick({"How many legs does {} have?", "How many legs has {}?"}), {a}),
               fill("{} has {} legs.", {capitalised(a), std::string(animal.legs)})}};
  }
}

std::vector<Turn> ask_fact(const TopicContext& context) {
  const auto& fact = kFacts[context.random.below(std::size(kFacts))];
  return {{std::string(fact[context.chance(0.6) ? 0 : 2]), std::string(fact[1])}};
}

}  // namespace hadal::train::corpus
