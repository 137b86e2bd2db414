// Several models: which one a name means, what is listed, and whose pages may call.
#include "serve/api/model_names.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "serve/api/api_error.h"
#include "serve/api/cors.h"
#include "serve/tiny_model.h"

namespace hadal::serve::api {
namespace {

// One checkpoint under three chat formats: V3 never thinks, R1 always does, V3.1 has both modes.
class ModelNames : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = testing::TempDir() + "hadal-names-" + std::to_string(::getpid());
    test::make_tiny_model(directory_ + "/tiny", 64, 256);
    const auto open = [](const char* format) {
      engine::EngineOptions options;
      options.threads = 1;
      options.chat_format = format;
      return engine::Engine::open(directory_ + "/tiny", options).release();
    };
    v3_ = open("deepseek-v3");
    r1_ = open("deepseek-r1");
    v31_ = open("deepseek-v3.1");
  }
  static void TearDownTestSuite() {
    for (engine::Engine* engine : {v3_, r1_, v31_}) delete engine;
    std::filesystem::remove_all(directory_);
  }

  static std::string listed(const Service& service) {
    std::string names;
    for (const NamedModel& model : listed_models(service)) {
      names += (names.empty() ? "" : " ") + model.id + ">" + model.served.id;
    }
    return names;
  }

  static inline std::string directory_;
  static inline engine::Engine *v3_ = nullptr, *r1_ = nullptr, *v31_ = nullptr;
};

TEST_F(ModelNames, ModesAreThoseOfTheLoadedModels) {
  Service service = make_service();
  add_model(service, *r1_, "r1");
  EXPECT_EQ(find_model(service, "deepseek-chat").served.id, "r1");  // in the mode that it has
  EXPECT_EQ(listed(service), "r1>r1 deepseek-reasoner>r1");
  add_model(service, *v3_, "v3");
  EXPECT_EQ(find_model(service, "").served.id, "r1");
  EXPECT_EQ(find_model(service, "v3").served.id, "v3");
  EXPECT_FALSE(find_model(service, "v3").thinking.has_value());
  EXPECT_EQ(find_model(service, "deepseek-chat").served.id, "v3");
  EXPECT_EQ(find_model(service, "deepseek-chat").thinking, false);
  EXPECT_EQ(find_model(service, "deepseek-reasoner").served.id, "r1");
  EXPECT_EQ(find_model(service, "deepseek-reasoner").thinking, true);
  EXPECT_EQ(find_model_leniently(service, "claude-opus-4-5").served.id, "v3");
  EXPECT_EQ(find_model_leniently(service, "r1").served.id, "r1");
  EXPECT_EQ(listed(service), "r1>r1 v3>v3 deepseek-chat>v3 deepseek-reasoner>r1");
  Service both = make_service();
  add_model(both, *v31_, "v31");
  add_model(both, *r1_, "r1");
  EXPECT_EQ(listed(both), "v31>v31 r1>r1 deepseek-chat>v31 deepseek-reasoner>v31");
}

TEST_F(ModelNames, AliasesAndOwnNamesComeFirst) {
  Service service = make_service();
  add_model(service, *v3_, "v3");
  add_model(service, *r1_, "deepseek-chat");
  add_alias(service, {"gpt-4o", "deepseek-chat"});
  EXPECT_EQ(find_model(service, "deepseek-chat").served.id, "deepseek-chat");
  EXPECT_FALSE(find_model(service, "deepseek-chat").thinking.has_value());
  EXPECT_EQ(find_model(service, "gpt-4o").served.id, "deepseek-chat");
  EXPECT_EQ(find_model(service, "gpt-4o").id, "gpt-4o");  // what the answer says
  EXPECT_EQ(listed(service),
            "v3>v3 deepseek-chat>deepseek-chat gpt-4o>deepseek-chat deepseek-reasoner>deepseek-chat");
}

TEST_F(ModelNames, SaysWhichModelsThereAre) {
  Service service = make_service();
  add_model(service, *v3_);
  add_model(service, *r1_, "r1");
  try {
    find_model(service, "gpt-4");
    FAIL();
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status(), 400);
    EXPECT_STREQ(e.what(), "Model Not Exist: \"gpt-4\"; this server has \"tiny\", \"r1\"");
  }
  EXPECT_THROW(add_model(service, *v31_, "r1"), Error);
  EXPECT_THROW(add_model(service, *v31_, std::string(300, 'x')), Error);
  EXPECT_THROW(add_alias(service, {"a", "nothing"}), Error);
  add_alias(service, {"a", "r1"});
  EXPECT_THROW(add_alias(service, {"a", "r1"}), Error);
  EXPECT_THROW(add_alias(service, {"r1", "tiny"}), Error);
}

TEST(Cors, LetsInWhoMayCall) {
  const auto origin_for = [](const std::string& origin, const std::vector<std::string>& allowed) {
    http::Request request;
    request.headers.push_back({"origin", origin});
    const auto headers = cors_headers(request, allowed);
    for (const http::Header& header : preflight(request, allowed).headers) {
      EXPECT_TRUE(!header.name.starts_with("Access-Control") || !headers.empty()) << header.name;
    }
    return headers.empty() ? "" : headers[0].value;
  };
  const std::vector<std::string> own = {"https://chat.example.org"};
  EXPECT_EQ(origin_for("https://chat.example.org", own), "https://chat.example.org");
  EXPECT_EQ(origin_for("https://chat.example.org:8443", own), "");
  EXPECT_EQ(origin_for("http://chat.example.org", own), "");
  EXPECT_EQ(origin_for("http://localhost:3000", own), "");
  EXPECT_EQ(origin_for("http://localhost:3000", {"local"}), "http://localhost:3000");
  EXPECT_EQ(origin_for("http://localhost.evil.org", {"local"}), "");
  EXPECT_EQ(origin_for("https://any.where", {"*"}), "https://any.where");
  EXPECT_EQ(origin_for("null", {"local"}), "");
  EXPECT_TRUE(cors_headers({}, {"*"}).empty());
  for (const char* good : {"*", "local", "https://a.b", "http://a:1"})
    EXPECT_NO_THROW(check_cors_origin(good));
  for (const char* bad :
       {"", "a.b", "https://", "https://a/", "https://*.a", "ftp://a", "https://a,https://b"}) {
    EXPECT_THROW(check_cors_origin(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace hadal::serve::api
