#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "corpus_fixture.h"
#include "text/tokenizer.h"
#include "train/corpus/document.h"
#include "train/corpus/pipeline.h"
#include "train/dataset.h"

namespace hadal::train::corpus {
namespace {

const std::string kWords[] = {"river",  "stone",  "garden", "winter", "letter", "sailor",
                              "window", "market", "doctor", "silver", "animal", "terrier",
                              "tabby",  "forest", "engine", "castle"};

// Sixty books of three paragraphs in a "package" that is in the cache already, and a WordNet beside it.
class Pipeline : public ::testing::Test {
 protected:
  Pipeline() {
    base::Random random(11);
    for (int book = 0; book < 60; ++book) {
      std::string text;
      for (int paragraph = 0; paragraph < 3; ++paragraph) {
        text += "It was a day in the";
        for (int word = 0; word < 30; ++word)
          text += " " + kWords[random.below(16)] + (word % 5 == 4 ? " and the" : "");
        text += " that they had.\n\n";
      }
      folder_.write("cache/apt/books/data/book" + std::to_string(book) + ".txt", text);
    }
    folder_.write("cache/apt/books/.version", "1.2-3\nbooks");
    write_small_wordnet(folder_, "cache/apt/wordnet-base/w");
    folder_.write("cache/apt/wordnet-base/.version", "3.0\nwordnet-base");
    write_recipe("");
  }

  void write_recipe(const std::string& extra) {
    folder_.write("recipe.toml",
                  "[data]\noutput = \"" + (folder_ / "out") + "\"\ncache = \"" + (folder_ / "cache") +
                      "\"\nvocab_size = 600\nvalidation_fraction = 0.1\n"
                      "[dialogues]\nwordnet = \"wordnet\"\ntoken_fraction = 0.4\nvalidation_dialogues = 20\n"
                      "[[source]]\nname = \"books\"\napt = \"books\"\nextractor = \"text\"\npath = \"data\"\n"
                      "licence = \"CC0-1.0\"\nmin_stopwords = 0.1\n" +
                      extra +
                      "[[source]]\nname = \"wordnet\"\napt = \"wordnet-base\"\nextractor = \"wordnet\"\n"
                      "path = \"w\"\nlicence = \"WordNet-3.0\"\nmin_words = 3\nmin_document_bytes = 20\n"
                      "min_stopwords = 0.0\n");
  }

  BuildResult build(const std::vector<std::string>& overrides = {}, int threads = 2) {
    return build_dataset(load_data_recipe(folder_ / "recipe.toml", overrides), {threads, false});
  }
  std::string error_of(const std::vector<std::string>& overrides = {}) {
    try {
      build(overrides);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  std::string out(const std::string& name) const { return base::read_file(folder_ / ("out/" + name)); }

  TemporaryFolder folder_;
};

TEST_F(Pipeline, MakesAWholeDataset) {
  const BuildResult result = build();
  const TokenDataset train = TokenDataset::open(folder_ / "out");
  const TokenDataset validation = TokenDataset::open(folder_ / "out/validation.bin");
  const auto tokenizer = text::Tokenizer::load(folder_ / "out/tokenizer.json");
  EXPECT_EQ(train.size(), result.train_tokens);
  EXPECT_EQ(train.vocab_size(), tokenizer->vocab_size());
  EXPECT_NEAR(static_cast<double>(result.dialogue_tokens), 0.4 * static_cast<double>(train.size()),
              0.02 * static_cast<double>(train.size()));
  // Every document opens with BOS and ends with EOS, and the validation shard is validation.txt.
  const text::TokenId bos = tokenizer->find("<｜begin▁of▁sentence｜>").value();
  const text::TokenId eos = tokenizer->find("<｜end▁of▁sentence｜>").value();
  std::string text;
  for (const TokenDataset* shard : {&train, &validation}) {
    const auto starts = shard->document_starts();
    for (size_t d = 0; d < starts.size(); ++d) {
      const int64_t end = d + 1 < starts.size() ? starts[d + 1] : shard->size();
      ASSERT_EQ(shard->at(starts[d]), bos);
      ASSERT_EQ(shard->at(end - 1), eos);
      if (shard == &validation) {
        std::vector<text::TokenId> ids(static_cast<size_t>(end - starts[d] - 2));
        shard->copy(starts[d] + 1, end - starts[d] - 2, ids.data());
        text += (text.empty() ? "" : "\n\n") + tokenizer->decode(ids);
      }
    }
  }
  EXPECT_EQ(text, out("validation.txt"));
  const base::Json manifest = base::parse_json(out("manifest.json"), "manifest");
  EXPECT_EQ(manifest["sources"][0]["version"], "1.2-3");
  EXPECT_EQ(manifest["sources"][0]["licence"], "CC0-1.0");
  EXPECT_EQ(manifest["sources"][0]["documents"], 60);
  EXPECT_EQ(manifest["files"]["train.bin"]["sha256"].get<std::string>().size(), 64u);
}

TEST_F(Pipeline, SameBytesOnEveryBuildAndThreadCount) {
  build({}, 1);
  const std::string first = out("train.bin") + out("manifest.json") + out("tokenizer.json");
  build({"data.output=\"" + (folder_ / "again") + "\""}, 3);
  const std::string second = base::read_file(folder_ / "again/train.bin") +
                             base::read_file(folder_ / "again/manifest.json") +
                             base::read_file(folder_ / "again/tokenizer.json");
  EXPECT_TRUE(first == second);
}

TEST_F(Pipeline, ContinuesWhereItStopped) {
  build();
  const std::string shard = out("train.bin");
  EXPECT_TRUE(build().up_to_date);
  // As after a kill in the middle: the last stages' results and stamps are missing.
  for (const char* name : {"train.bin", "work/tokenizer.stamp", "work/shards.stamp", "work/split.stamp"})
    std::filesystem::remove(folder_ / ("out/" + std::string(name)));
  const auto cleaned = std::filesystem::last_write_time(folder_ / "out/work/books.docs");
  EXPECT_FALSE(build().up_to_date);
  EXPECT_TRUE(out("train.bin") == shard);
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "out/work/books.docs"), cleaned);  // not made again
}

TEST_F(Pipeline, AChangedRecipeRepeatsWhatDependsOnIt) {
  build();
  const std::string tokenizer = out("tokenizer.json");
  const std::string shard = out("train.bin");
  EXPECT_FALSE(build({"dialogues.token_fraction=0.2"}).up_to_date);
  EXPECT_TRUE(out("tokenizer.json") == tokenizer);
  EXPECT_FALSE(out("train.bin") == shard);
  EXPECT_FALSE(build({"data.vocab_size=500"}).up_to_date);
  EXPECT_FALSE(out("tokenizer.json") == tokenizer);
}

TEST_F(Pipeline, DialoguesOffGiveAnotherTokenizer) {
  build();
  const std::string with = base::read_file(folder_ / "out/tokenizer.json");
  build({"dialogues.token_fraction=0.0"});
  EXPECT_NE(base::read_file(folder_ / "out/tokenizer.json"), with);
  build();
  EXPECT_EQ(base::read_file(folder_ / "out/tokenizer.json"), with);
}

TEST_F(Pipeline, SingleDigitsMakeNoTokenOfTwo) {
  const auto tokens_of_two_digits = [&] {
    const auto tokenizer = text::Tokenizer::load(folder_ / "out/tokenizer.json");
    int count = 0;
    for (text::TokenId id = 0; id < tokenizer->vocab_size(); ++id) {
      const std::string_view bytes = tokenizer->token_bytes(id);
      count += std::count_if(bytes.begin(), bytes.end(), [](char c) { return c >= '0' && c <= '9'; }) > 1;
    }
    return count;
  };
  build();
  EXPECT_GT(tokens_of_two_digits(), 0);  // the dialogues' sums are full of them
  EXPECT_FALSE(build({"data.single_digits=true"}).up_to_date);
  EXPECT_EQ(tokens_of_two_digits(), 0);
}

TEST_F(Pipeline, TwoBuildersDoNotShareAFolder) {
  build();
  const int fd = ::open((folder_ / "out/work/.lock").c_str(), O_RDWR);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0) << "the first build is over: its lock is free";
  EXPECT_NE(error_of().find("another process builds here"), std::string::npos);
  ::close(fd);
  EXPECT_EQ(error_of(), "");
}

TEST_F(Pipeline, NoDocumentAndNoTranslationOfItOnBothSides) {
  // The same chapters under another name, as two translations of one book have them.
  for (int book = 0; book < 60; ++book) {
    std::string text =
        base::read_file(folder_ / ("cache/apt/books/data/book" + std::to_string(book) + ".txt"));
    for (char& c : text)
      if (c == 'o') c = 'u';
    folder_.write("cache/apt/books/other/sub/book" + std::to_string(book) + ".txt", text);
  }
  write_recipe(
      "[[source]]\nname = \"other\"\napt = \"books\"\nextractor = \"text\"\npath = \"other\"\n"
      "licence = \"CC0-1.0\"\nmin_stopwords = 0.1\n");
  build();
  std::set<std::string> train;
  for (const Document& document : read_documents(folder_ / "out/work/train.docs"))
    train.insert(document.id.substr(document.id.rfind('/') + 1));
  const std::vector<Document> validation = read_documents(folder_ / "out/work/validation.docs");
  std::set<std::string> sources;
  for (const Document& document : validation) {
    EXPECT_FALSE(train.contains(document.id.substr(document.id.rfind('/') + 1))) << document.id;
    sources.insert(document.source);
  }
  EXPECT_TRUE(sources.contains("books") && sources.contains("other"));
}

TEST_F(Pipeline, WeightsRepeatAndLeaveOut) {
  const auto tokens = [&](const std::string& weight) {
    write_recipe("weight = " + weight + "\n");
    return build({"dialogues.token_fraction=0"}).train_tokens;
  };
  const int64_t once = tokens("1.0");
  const int64_t twice = tokens("2.0");
  const int64_t half = tokens("0.5");
  EXPECT_GT(twice, once * 18 / 10);
  EXPECT_LT(half, once * 8 / 10);
  EXPECT_GT(half, once * 2 / 10);
}

TEST_F(Pipeline, AnEmptyCorpusIsAnError) {
  for (int book = 0; book < 60; ++book)
    folder_.write("cache/apt/books/data/book" + std::to_string(book) + ".txt", "1 2 3\n\n4 5 6");
  EXPECT_NE(error_of().find("source books: no prose"), std::string::npos);
  EXPECT_FALSE(base::file_exists(folder_ / "out/train.bin"));
}

TEST_F(Pipeline, AFailedBuildLeavesTheOldOne) {
  build();
  const std::string shard = out("train.bin");
  folder_.write("cache/apt/books/.version", "1.2-4\nbooks");  // a new version, with nothing in it
  std::filesystem::remove_all(folder_ / "cache/apt/books/data");
  EXPECT_NE(error_of().find("no .txt file there"), std::string::npos);
  EXPECT_TRUE(out("train.bin") == shard);
  TokenDataset::open(folder_ / "out");
}

TEST_F(Pipeline, MissingPackages) {
  std::filesystem::remove_all(folder_ / "cache/apt/books");
  EXPECT_NE(error_of().find("fetching is off"), std::string::npos);
  // Through apt itself: a name that no archive has fails with or without a network.
  try {
    fetch_package({"apt", "hadal-no-such-package", {}}, folder_ / "cache");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(e.what()).find("apt package hadal-no-such-package"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("apt-get update"), std::string::npos) << e.what();
  }
  EXPECT_FALSE(base::file_exists(folder_ / "cache/apt/hadal-no-such-package"));
}

TEST_F(Pipeline, ProgramsThatAreNotThere) {
  EXPECT_THROW(run_program({"hadal-no-such-program"}, "."), Error);
  const ProgramResult result = run_program({"sh", "-c", "echo out; echo err >&2; exit 3"}, ".");
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.output, "out\nerr\n");
}

TEST_F(Pipeline, RecipesThatAreWrong) {
  EXPECT_NE(
      error_of({"data.vocabsize=500"}).find("unknown key data.vocabsize; did you mean data.vocab_size?"),
      std::string::npos);
  EXPECT_NE(error_of({"data.vocab_size=\"many\""}).find("expected an integer"), std::string::npos);
  EXPECT_NE(error_of({"data.vocab_size=5"}).find("must be in [300"), std::string::npos);
  EXPECT_NE(error_of({"dialogues.wordnet=\"wordnt\""}).find("names no source"), std::string::npos);
  write_recipe("licenc = \"x\"\n");
  EXPECT_NE(error_of().find("did you mean source.licence?"), std::string::npos);
  write_recipe("skip = [1]\n");
  EXPECT_NE(error_of().find("recipe.toml:"), std::string::npos);
  folder_.write("recipe.toml", "[data]\noutput = \"x\"\n");
  EXPECT_NE(error_of().find("source is missing"), std::string::npos);
}

}  // namespace
}  // namespace hadal::train::corpus
