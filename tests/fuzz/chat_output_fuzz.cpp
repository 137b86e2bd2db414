// Input: a byte that chooses the format, one for the options, then a model's output as text with markers.
// Calls must begin and end in turn, and without reasoning and tools nothing may be lost.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/bpe_trainer.h"
#include "text/output_parser.h"

using namespace hadal;

namespace {

const std::shared_ptr<const text::Tokenizer>& tokenizer() {
  static const auto trained = [] {
    constexpr std::string_view kText = "the deep sea and the deeper sea\nfunction {\"a\": 1} ```json";
    return text::train_bpe({&kText, 1}, {.vocab_size = 310});
  }();
  return trained;
}

struct Told {
  std::string content;
  std::string arguments;
  bool in_call = false;

  void add(const std::vector<text::OutputEvent>& events) {
    using Kind = text::OutputEvent::Kind;
    for (const auto& event : events) {
      if (event.kind == Kind::kContent) content += event.text;
      if (event.kind == Kind::kCallArguments) arguments += event.text;
      if (event.kind == Kind::kCallBegin) {
        if (in_call || event.text.empty()) std::abort();
        in_call = true;
        arguments.clear();
      }
      if (event.kind == Kind::kCallArguments && !in_call) std::abort();
      if (event.kind == Kind::kCallEnd) {
        if (!in_call) std::abort();
        in_call = false;
        // Throws where "complete" is not true.
        if (event.complete && !base::parse_json(arguments, "arguments").is_object()) std::abort();
      }
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto names = text::chat_format_names();
  const text::ChatFormat& format = text::find_chat_format(names[data[0] % names.size()]);
  text::OutputOptions options;
  options.starts_in_reasoning = format.reasons && (data[1] & 1) != 0;
  options.tools = (data[1] & 2) != 0;
  options.stream_arguments = (data[1] & 4) != 0;
  const std::string_view output(reinterpret_cast<const char*>(data) + 2, size - 2);
  text::OutputParser parser(format, tokenizer(), options);
  text::StreamDecoder plain(tokenizer());
  std::string whole;
  Told told;
  for (const text::TokenId id : tokenizer()->encode(output, (data[1] & 8) == 0)) {
    told.add(parser.push(id));
    if (id > 1) whole += plain.push(id);  // the sentence marks say nothing
  }
  told.add(parser.finish());
  whole += plain.finish();
  if (told.in_call) std::abort();
  const bool plain_format = !format.reasons && (!options.tools || format.tools == text::ToolSyntax::kNone);
  if (plain_format && told.content != whole) std::abort();
  return 0;
}
