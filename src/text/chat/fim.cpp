// DeepSeek's fill in the middle, prefix first (Coder-V2's README).
#include "base/error.h"
#include "text/chat/chat_format.h"
#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"

namespace hadal::text {

bool supports_fim(const Tokenizer& tokenizer) {
  return tokenizer.find(kFimBegin) && tokenizer.find(kFimHole) && tokenizer.find(kFimEnd);
}

std::vector<TokenId> render_fim(const Tokenizer& tokenizer, std::string_view prefix,
                                std::optional<std::string_view> suffix) {
  PromptWriter out(tokenizer);
  if (tokenizer.find(kBos)) out.control(kBos);
  if (suffix) {
    if (!supports_fim(tokenizer)) {
      throw_error(ErrorCode::kUnsupported,
                  "[chat] the vocabulary has no {}: this model fills no middle; leave the "
                  "suffix out",
                  kFimHole);
    }
    out.control(kFimBegin);
    out.text(prefix);
    out.control(kFimHole);
    out.text(*suffix);
    out.control(kFimEnd);
  } else {
    out.text(prefix);
  }
  return out.finish();
}

}  // namespace hadal::text
