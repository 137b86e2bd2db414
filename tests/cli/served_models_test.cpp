// --model NAME=PATH,FLAG=VALUE and --alias.
#include "cli/served_models.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace hadal::cli {
namespace {

engine::EngineOptions defaults() {
  engine::EngineOptions options;
  options.max_running = 7;
  options.threads = 3;
  return options;
}

ServedModelSpec parse(const std::string& text) { return parse_served_model(text, defaults()); }

TEST(ServedModels, ReadsNamePathAndFlags) {
  EXPECT_EQ(parse("/nowhere/model").path, "/nowhere/model");
  EXPECT_EQ(parse("/nowhere/model").name, "");
  EXPECT_EQ(parse("/nowhere/model").options.max_running, 7);
  const ServedModelSpec r1 = parse("r1=/m/r1.gguf,context=16384,threads=2,kv-memory=1G,exact=true");
  EXPECT_EQ(r1.name, "r1");
  EXPECT_EQ(r1.path, "/m/r1.gguf");
  EXPECT_EQ(r1.options.context_tokens, 16384);
  EXPECT_EQ(r1.options.threads, 2);
  EXPECT_EQ(r1.options.kv_memory_bytes, int64_t{1} << 30);
  EXPECT_TRUE(r1.options.exact);
  EXPECT_EQ(r1.options.max_running, 7);
  const ServedModelSpec odd =
      parse("deepseek-ai/R1=/m/a,b=c.gguf,queue=5,max-running=2,max-itl-ms=0,chat-format=x");
  EXPECT_EQ(odd.name, "deepseek-ai/R1");
  EXPECT_EQ(odd.path, "/m/a,b=c.gguf");  // no flag has that name
  EXPECT_EQ(odd.options.max_queue, 5);
  EXPECT_EQ(odd.options.max_running, 2);
  EXPECT_EQ(odd.options.max_itl_ms, 0);
  EXPECT_EQ(odd.options.chat_format, "x");
}

TEST(ServedModels, APathThatIsThereIsOne) {
  const std::string path = testing::TempDir() + "hadal-model=a,threads=1-" + std::to_string(::getpid());
  std::filesystem::create_directories(path);
  EXPECT_EQ(parse(path).path, path);
  EXPECT_EQ(parse(path).options.threads, 3);
  EXPECT_EQ(parse("b=" + path).name, "b");
  std::filesystem::remove(path);
}

TEST(ServedModels, NamesWhatIsWrong) {
  for (const char* text :
       {"/m,threads=many", "/m,threads=-1", "/m,context=1x", "/m,kv-type=f64", "/m,threads=1,what=2"}) {
    try {
      parse(text);
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput) << text;
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  }
}

TEST(ServedModels, ReadsAliases) {
  const auto alias = parse_alias("gpt-4o=v3");
  EXPECT_EQ(alias.name, "gpt-4o");
  EXPECT_EQ(alias.model, "v3");
  for (const char* text : {"", "a", "a=", "=a"}) EXPECT_THROW(parse_alias(text), Error) << text;
}

}  // namespace
}  // namespace hadal::cli
