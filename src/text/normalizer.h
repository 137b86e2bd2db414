// The normalizer of a tokenizer.json: nothing, or Unicode's NFC (Qwen). Canonical mappings come from
// utf8proc: small, plain C, and it gives the tables themselves, which the library's older NFC needs; ICU
// would be 30 MB.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace hadal::text {

class Normalizer {
 public:
  Normalizer() = default;
  // `config` is tokenizer.json's "normalizer": null, NFC or a Sequence of them. Throws Error{kUnsupported}
  // naming any other; `name` is the file in errors.
  Normalizer(const base::Json& config, const std::string& name);

  bool is_nfc() const { return nfc_; }
  base::Json to_json() const;  // as tokenizer.json has it

  // `text` normalized: a view of itself where nothing changes, else of `storage`. Bytes that are not UTF-8
  // are kept and nothing moves across them. Time O(n log n), whatever the text.
  std::string_view apply(std::string_view text, std::string& storage) const;

 private:
  void add(const base::Json& config, const std::string& name, int depth);

  bool nfc_ = false;
};

}  // namespace hadal::text
