// Which names a pull writes: no list from the network leaves the folder, whatever it holds.
#include "format/hub_paths.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/random.h"
#include "format/hub_hash.h"

namespace hadal::format {
namespace {

namespace fs = std::filesystem;

std::vector<HubFile> files(std::initializer_list<const char*> paths) {
  std::vector<HubFile> all;
  for (const char* path : paths) all.push_back({path, 1000, "", ""});
  return all;
}

std::vector<std::string> chosen(const std::vector<HubFile>& files,
                                const std::vector<std::string>& include = {},
                                const std::vector<std::string>& exclude = {}) {
  std::vector<std::string> paths;
  for (const HubFile& file : select_files(files, include, exclude, "owner/model")) paths.push_back(file.path);
  return paths;
}

TEST(HubPaths, OrdinaryNamesAreSafe) {
  for (const char* path : {"config.json", "a/b/c.gguf", "..a", "a..", "...", "é.json", "model 1.gguf",
                           ".gitattributes", "UD-Q4_K_XL/DeepSeek-R1-00001-of-00009.gguf", "a.part.b", "-x"})
    EXPECT_TRUE(is_safe_path(path)) << path;
}

TEST(HubPaths, NamesThatLeaveTheFolderAreNot) {
  for (const char* path : {"",
                           "/",
                           "/x",
                           "..",
                           ".",
                           "../x",
                           "a/../b",
                           "a/..",
                           "a/.",
                           "./a",
                           "a//b",
                           "a/",
                           "a\\b",
                           "a\nb",
                           "a\x7f",
                           "x.part",
                           "x/y.part.json",
                           ".lock",
                           ".hadal-pull.json",
                           "a/.lock"})
    EXPECT_FALSE(is_safe_path(path)) << path;
  EXPECT_FALSE(is_safe_path(std::string_view("a\0b", 3)));
  EXPECT_TRUE(is_safe_path(std::string(245, 'x')));
  EXPECT_FALSE(is_safe_path(std::string(246, 'x')));
  std::string deep = "x";
  while (deep.size() < 1100) deep += "/x";
  EXPECT_FALSE(is_safe_path(deep));
}

// The property behind the list: a path that is accepted names a file strictly below the folder, and has one
// spelling only.
TEST(HubPaths, AcceptedPathsStayBelowTheFolder) {
  constexpr std::string_view kPieces[] = {"..", ".",  "/", "//",  "a", "b.",    "...",
                                          "\\", "\n", "~", "%2e", "é", "x.part"};
  base::Random random(7);
  const fs::path folder = "/pulled/model";
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string path;
    for (uint64_t i = random.below(8) + 1; i > 0; --i) path += kPieces[random.below(std::size(kPieces))];
    if (!is_safe_path(path)) continue;
    ++accepted;
    const fs::path whole = (folder / path).lexically_normal();
    ASSERT_EQ(whole.string(), folder.string() + "/" + path);
    const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), whole.begin(), whole.end());
    ASSERT_TRUE(end == folder.end() && rest != whole.end()) << path;
  }
  EXPECT_GT(accepted, 1000);
}

// fnmatch against the definition, on patterns of letters, '*' and '?'.
bool matches_by_definition(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (size_t i = 0; i <= text.size(); ++i)
      if (matches_by_definition(pattern.substr(1), text.substr(i))) return true;
    return false;
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         matches_by_definition(pattern.substr(1), text.substr(1));
}

TEST(HubPaths, GlobsMatchAsDefined) {
  base::Random random(8);
  int matched = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string pattern;
    std::string text;
    for (uint64_t i = random.below(6); i > 0; --i) pattern += "ab/.*?"[random.below(6)];
    for (uint64_t i = random.below(7); i > 0; --i) text += "ab/."[random.below(4)];
    const std::string meant = pattern.ends_with('/') ? pattern + "*" : pattern;
    const bool expected = matches_by_definition(meant, text);
    ASSERT_EQ(matches_glob(pattern, text), expected) << pattern << " on " << text;
    matched += expected ? 1 : 0;
  }
  EXPECT_GT(matched, 1000);
  EXPECT_TRUE(matches_glob("*Q4_[KM]*", "a/x-Q4_K_M.gguf"));
  EXPECT_FALSE(matches_glob("*.safetensors", "x.safetensors.index.json"));
}

TEST(HubPaths, TheDefaultIsWhatHadalLoads) {
  const auto all = files({".gitattributes",
                          "LICENSE",
                          "LICENSE-MODEL",
                          "README.md",
                          "config.json",
                          "configuration_deepseek.py",
                          "figures/a.png",
                          "flax_model.msgpack",
                          "generation_config.json",
                          "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json",
                          "consolidated.safetensors",
                          "onnx/model.onnx",
                          "original/x.safetensors",
                          "pytorch_model.bin",
                          "special_tokens_map.json",
                          "tokenizer.json",
                          "tokenizer_config.json",
                          "x-Q4_K_M.gguf",
                          "chat_template.jinja"});
  EXPECT_EQ(chosen(all), (std::vector<std::string>{
                             "LICENSE", "LICENSE-MODEL", "README.md", "config.json", "generation_config.json",
                             "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                             "model.safetensors.index.json", "special_tokens_map.json", "tokenizer.json",
                             "tokenizer_config.json", "chat_template.jinja"}));
  EXPECT_EQ(chosen(all, {"*.gguf"}), (std::vector<std::string>{"x-Q4_K_M.gguf"}));
  EXPECT_EQ(chosen(all, {"figures/", "*.json"}, {"*token*"}),
            (std::vector<std::string>{"config.json", "figures/a.png", "generation_config.json",
                                      "model.safetensors.index.json"}));
  EXPECT_THROW(chosen(all, {"nothing"}), Error);
}

TEST(HubPaths, OneGgufModelIsTakenAndTheChoiceOfManyIsAsked) {
  EXPECT_EQ(chosen(files({"README.md", "x.gguf"})), (std::vector<std::string>{"README.md", "x.gguf"}));
  EXPECT_EQ(chosen(files({"Q8_0/x-00001-of-00002.gguf", "Q8_0/x-00002-of-00002.gguf"})).size(), 2u);
  const auto many = files({"x-Q4_K_M.gguf", "x-Q8_0-00001-of-00002.gguf", "x-Q8_0-00002-of-00002.gguf"});
  try {
    chosen(many);
    FAIL();
  } catch (const Error& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find("2 GGUF models: x-Q4_K_M (1.0 KB), x-Q8_0 (2.0 KB)"), std::string::npos)
        << message;
  }
  EXPECT_EQ(chosen(many, {"*Q8_0*"}).size(), 2u);
  EXPECT_EQ(chosen(many, {}, {"*Q8_0*"}).size(), 1u);
}

TEST(HubPaths, BytesAreReadable) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.0 KB");
  EXPECT_EQ(bytes_text(999'949), "999.9 KB");
  EXPECT_EQ(bytes_text(999'950), "1.0 MB");
  EXPECT_EQ(bytes_text(31'400'000'000), "31.4 GB");
}

// `printf 'hello\n' | sha256sum` and `| git hash-object --stdin`.
TEST(HubHash, NamesContentAsTheHubDoes) {
  ContentHash sha("sha256:x", 6);
  sha.add("hel");
  sha.add("lo\n");
  EXPECT_EQ(sha.finish(), "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  ContentHash git("git:x", 6);
  git.add("hello\n");
  EXPECT_EQ(git.finish(), "git:ce013625030ba8dba906f756967f9e9ca394464a");
}

}  // namespace
}  // namespace hadal::format
