// Everyday words with meanings in plain English, written for this project: WordNet explains "dog" by the
// genus Canis, and a small model is asked about dogs more often than about sovereigns.
#pragma once

#include <span>
#include <string_view>

#include "train/corpus/wordnet.h"

namespace hadal::train::corpus {

struct EverydayWord {
  std::string_view word;
  PartOfSpeech pos;
  std::string_view kind;     // nouns: what it is a kind of; empty otherwise
  std::string_view meaning;  // begins with "a" or "an" for nouns that take an article
};

std::span<const EverydayWord> everyday_words();

}  // namespace hadal::train::corpus
