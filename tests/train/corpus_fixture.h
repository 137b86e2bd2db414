// Packages put straight into a corpus cache: what `hadal data
// build` finds there it does not fetch, so the whole pipeline runs without a network.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>

#include "support/temporary_folder.h"

namespace hadal::train::corpus {

using test::TemporaryFolder;

inline std::string deflated(const std::string& bytes) {
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
           bytes.size());
  out.resize(size);
  return out;
}

inline std::string le32(uint32_t value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

inline std::string be32(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
  return out;
}

// A WordNet of six words, in the files that WordNet 3.0 has: dog and cat are animals, hot and cold opposites.
inline void write_small_wordnet(const TemporaryFolder& folder, const std::string& at) {
  folder.write(
      at + "/data.noun",
      "  1 The licence of WordNet comes first, two spaces in front.\n"
      "00000010 05 n 01 animal 0 002 ~ 00000020 n 0000 ~ 00000030 n 0000 | a living being that can move; "
      "\"the animal was very hungry\"\n"
      "00000020 05 n 02 terrier 0 hound 0 001 @ 00000010 n 0000 | a pet that barks; \"the terrier barked all "
      "night\"\n"
      "00000030 05 n 01 tabby 0 001 @ 00000010 n 0000 | a pet that purrs; \"she loved the old tabby\"\n");
  folder.write(at + "/data.verb",
               "00000040 30 v 01 wander 0 000 01 + 02 00 | go about without a plan; \"they wandered\"\n");
  folder.write(at + "/data.adj",
               "00000050 00 a 01 boiling 0 001 ! 00000060 a 0101 | very hot indeed\n"
               "00000060 00 a 01 freezing(p) 0 001 ! 00000050 a 0101 | very cold indeed\n");
  folder.write(at + "/data.adv", "00000070 02 r 01 gladly 0 000 | with pleasure\n");
  folder.write(at + "/index.noun",
               "animal n 1 1 ~ 1 1 00000010\nterrier n 1 1 @ 1 1 00000020\nhound n 1 1 @ 1 1 00000020\n"
               "tabby n 1 1 @ 1 1 00000030\n");
  folder.write(at + "/index.verb", "wander v 1 0 1 1 00000040\n");
  folder.write(at + "/index.adj", "boiling a 1 1 ! 1 1 00000050\nfreezing a 1 1 ! 1 1 00000060\n");
  folder.write(at + "/index.adv", "gladly r 1 0 1 1 00000070\n");
  folder.write(at + "/noun.exc", "geese goose\n");
  folder.write(at + "/verb.exc", "");
  folder.write(at + "/adj.exc", "");
  folder.write(at + "/adv.exc", "");
  folder.write(at + "/cntlist.rev",
               "animal%1:05:00:: 1 9\nterrier%1:05:00:: 1 5\nhound%1:05:00:: 1 3\ntabby%1:05:00:: 1 4\n"
               "wander%2:30:00:: 1 2\nboiling%3:00:00:: 1 2\nfreezing%3:00:00:: 1 2\ngladly%4:02:00:: 1 2\n");
}

}  // namespace hadal::train::corpus
