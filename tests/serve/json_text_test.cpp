#include "serve/api/json_text.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace hadal::serve::api {
namespace {

TEST(JsonText, WritesStringsAsDumpJsonDoes) {
  for (int c = 0; c < 256; ++c) {
    const std::string text = "a" + std::string(1, static_cast<char>(c)) + "b";
    EXPECT_EQ(json_string(text), base::dump_json(base::Json(text))) << c;
  }
  for (const char* text : {"", "plain text: 1 + 1 = 2", "a \"b\" \\ c",
                           "Tiefe \u00fcber \u6df1\u6d77 \U0001F30A", "cut \xE6\xB7"}) {
    EXPECT_EQ(json_string(text), base::dump_json(base::Json(text)));
  }
  std::string out = "{\"a\":";
  append_json_string(out, "b");
  EXPECT_EQ(out, "{\"a\":\"b\"");
}

}  // namespace
}  // namespace hadal::serve::api
