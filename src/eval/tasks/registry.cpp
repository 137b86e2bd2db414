// One row a kind of task; the order is that of lists and errors.
#include <array>

#include "eval/tasks/kinds.h"

namespace hadal::eval {
namespace {

constexpr std::string_view kSumLevels[] = {"1 digit",  "2 digits", "3 digits", "4 digits", "5 digits",
                                           "6 digits", "7 digits", "8 digits", "9 digits", "10 digits"};
constexpr std::string_view kProductLevels[] = {"1 x 1 digits", "2 x 1 digits", "2 x 2 digits", "3 x 2 digits",
                                               "3 x 3 digits"};
constexpr std::string_view kCountdownLevels[] = {"2 numbers to 9", "3 numbers to 9", "3 numbers to 99",
                                                 "4 numbers to 9", "4 numbers to 99"};
constexpr std::string_view kSortingLevels[] = {"4 numbers to 9", "6 numbers to 9", "5 numbers to 99",
                                               "8 numbers to 99", "12 numbers to 999"};
constexpr std::string_view kBracketLevels[] = {"close one kind", "close two kinds", "close three kinds",
                                               "balanced? one kind", "balanced? three kinds"};
constexpr std::string_view kLetterLevels[] = {"words to 5 letters", "longer words", "8 letters", "16 letters",
                                              "32 letters"};
constexpr std::string_view kLogicLevels[] = {"order of 3", "order of 4", "order of 5", "2 knights and knaves",
                                             "3 knights and knaves"};

constexpr auto kKinds = std::to_array<TaskKind>({
    {"sums", "the sum of two whole numbers", kSumLevels, draw_sum, correct_value},
    {"products", "the product of two whole numbers", kProductLevels, draw_product, correct_value},
    {"countdown", "an expression over given numbers with a given value", kCountdownLevels, draw_countdown,
     correct_countdown},
    {"sorting", "whole numbers in order", kSortingLevels, draw_sorting, correct_sorting},
    {"brackets", "closing brackets, and telling whether all are closed", kBracketLevels, draw_brackets,
     correct_brackets},
    {"letters", "how many times a letter occurs", kLetterLevels, draw_letters, correct_letters},
    {"logic", "who is tallest; knights and knaves", kLogicLevels, draw_logic, correct_logic},
});

}  // namespace

std::span<const TaskKind> task_kinds() { return kKinds; }

}  // namespace hadal::eval
