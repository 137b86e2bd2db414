#include "text/tokenizer.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "text/byte_alphabet.h"
#include "text/piece_cache.h"
#include "text/tokenizer_parser.h"
#include "text/tokenizer_writer.h"
#include "text/utf8.h"

namespace hadal::text {

namespace {

// Names a tokenizer in the piece caches; never 0. After 2^32 - 1 tokenizers numbers come again, and no
// process holds that many.
uint32_t next_owner() {
  static std::atomic<uint32_t> last{0};
  return ++last;
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// DeepSeek-LLM's and V2's files list the byte alphabet's letters for bytes that UTF-8 never has ("ø" for
// 0xF8) as added tokens. They stand for ordinary letters of ordinary text, and control nothing.
bool is_letter(const AddedToken& token) {
  const auto bytes = alphabet_to_bytes(token.content);
  return !token.special && bytes && bytes->size() == 1 && never_in_utf8(static_cast<uint8_t>((*bytes)[0]));
}

}  // namespace

struct Tokenizer::Impl {
  const uint32_t owner = next_owner();
  std::string json;  // as read: saving gives the same bytes back
  TokenizerParts parts;
  AddedTokenMatcher raw_added;         // looked for first
  AddedTokenMatcher normalized_added;  // looked for in what is left, normalized
  AddedTokenMatcher letters;           // the added tokens that are plain text, see is_letter
  std::unordered_map<std::string, TokenId> added_ids;
  std::vector<bool> special;  // [vocab_size]: skipped by decode(skip_special)
  std::vector<bool> added;    // [vocab_size]
  std::unordered_map<std::string_view, TokenId>
      whole;  // with ignore_merges: bytes to id, added tokens left out

  void take(TokenizerParts from);  // and make the tables that encoding needs

  void apply_merges(std::string_view piece, std::vector<TokenId>& out) const {
    if (parts.ignore_merges) {
      if (const auto found = whole.find(piece); found != whole.end()) {
        out.push_back(found->second);
        return;
      }
    }
    bpe_encode(parts.merges, parts.byte_ids, piece, out);
  }

  void encode_piece(PieceCache& cache, std::string_view piece, std::vector<TokenId>& out) const {
    if (piece.size() > PieceCache::kMaxBytes) {
      apply_merges(piece, out);
      return;
    }
    const PieceCache::Place place = cache.find(piece, owner);
    if (place.holds()) {
      const auto ids = place.entry->span();
      out.insert(out.end(), ids.begin(), ids.end());
      return;
    }
    const size_t before = out.size();
    apply_merges(piece, out);
    place.set(std::span(out).subspan(before));
  }

  void encode_plain(std::string_view text, std::vector<TokenId>& out) const {
    PieceCache& cache = PieceCache::of_this_thread();
    std::vector<std::string_view> pieces;
    while (!text.empty()) {
      const size_t valid = valid_utf8_prefix(text);
      pieces.clear();
      parts.pre_tokenizer->split(text.substr(0, valid), pieces);
      for (const std::string_view piece : pieces) encode_piece(cache, piece, out);
      text.remove_prefix(valid);
      // Bytes that are not UTF-8 are no business of the patterns: each bad sequence is a piece of its own.
      while (!text.empty()) {
        const Utf8Step step = utf8_step(text);
        if (step.status == Utf8Status::kValid) break;
        const std::string_view bad = text.substr(0, static_cast<size_t>(step.length));
        const bool said = std::all_of(
            bad.begin(), bad.end(), [this](char c) { return parts.byte_ids[static_cast<uint8_t>(c)] >= 0; });
        encode_piece(cache, said ? bad : kReplacement, out);
        text.remove_prefix(static_cast<size_t>(step.length));
      }
    }
  }

  void encode_normalized(const AddedTokenMatcher& matcher, std::string_view text,
                         std::vector<TokenId>& out) const {
    std::string storage;
    encode_around(matcher, parts.normalizer.apply(text, storage), out,
                  [&](std::string_view rest) { encode_plain(rest, out); });
  }

  template <typename Rest>
  static void encode_around(const AddedTokenMatcher& matcher, std::string_view text,
                            std::vector<TokenId>& out, const Rest& rest) {
    size_t done = 0;
    for (auto found = matcher.next(text, 0); found.token != nullptr; found = matcher.next(text, done)) {
      rest(text.substr(done, found.position - done));
      out.push_back(found.token->id);
      done = found.position + found.token->content.size();
    }
    rest(text.substr(done));
  }
};

Tokenizer::Tokenizer() : impl_(std::make_unique<Impl>()) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::string& path) {
  return parse(base::read_file(path), path);
}

std::shared_ptr<const Tokenizer> Tokenizer::parse(std::string_view json, const std::string& name) {
  const std::shared_ptr<Tokenizer> tokenizer(new Tokenizer());
  tokenizer->impl_->json = json;
  tokenizer->impl_->take(parse_tokenizer(json, name));
  return tokenizer;
}

std::shared_ptr<const Tokenizer> Tokenizer::assemble(TokenizerParts parts) {
  const std::shared_ptr<Tokenizer> tokenizer(new Tokenizer());
  tokenizer->impl_->take(std::move(parts));
  return tokenizer;
}

void Tokenizer::Impl::take(TokenizerParts from) {
  Impl& impl = *this;
  impl.parts = std::move(from);
  impl.special.resize(impl.parts.tokens.size());
  impl.added.resize(impl.parts.tokens.size());
  std::vector<AddedToken> raw;
  std::vector<AddedToken> normalized;
  std::vector<AddedToken> letters;
  for (AddedToken token : impl.parts.added) {
    impl.special[static_cast<size_t>(token.id)] = token.special;
    impl.added[static_cast<size_t>(token.id)] = !is_letter(token);
    impl.added_ids.emplace(token.content, token.id);
    if (token.normalized) {
      std::string storage;
      token.content = std::string(impl.parts.normalizer.apply(token.content, storage));
    }
    if (is_letter(token)) letters.push_back(token);
    (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  impl.letters = AddedTokenMatcher(std::move(letters));
  impl.raw_added = AddedTokenMatcher(std::move(raw));
  impl.normalized_added = AddedTokenMatcher(std::move(normalized));
  if (impl.parts.ignore_merges) {
    for (size_t id = 0; id < impl.parts.tokens.size(); ++id) {
      if (!impl.added[id] && !impl.parts.tokens[id].empty()) {
        impl.whole.emplace(impl.parts.tokens[id], static_cast<TokenId>(id));
      }
    }
  }
}

void Tokenizer::save(const std::string& path) const { base::write_file_atomic(path, to_json()); }

std::string Tokenizer::to_json() const {
  return impl_->json.empty() ? write_tokenizer_json(impl_->parts) : impl_->json;
}

const TokenizerParts& Tokenizer::parts() const { return impl_->parts; }

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->parts.tokens.size()); }

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool parse_special) const {
  std::vector<TokenId> out;
  if (!parse_special) {
    impl_->encode_normalized(impl_->letters, text, out);
    return out;
  }
  Impl::encode_around(impl_->raw_added, text, out, [&](std::string_view rest) {
    impl_->encode_normalized(impl_->normalized_added, rest, out);
  });
  return out;
}

std::span<const TokenId> Tokenizer::template_prefix() const { return impl_->parts.template_prefix; }

std::span<const TokenId> Tokenizer::template_suffix() const { return impl_->parts.template_suffix; }

std::string_view Tokenizer::token_bytes(TokenId id) const {
  if (id < 0 || static_cast<size_t>(id) >= impl_->parts.tokens.size()) return {};
  return impl_->parts.tokens[static_cast<size_t>(id)];
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string out;
  for (const TokenId id : ids) {
    if (skip_special && id >= 0 && static_cast<size_t>(id) < impl_->special.size() &&
        impl_->special[static_cast<size_t>(id)]) {
      continue;
    }
    out += token_bytes(id);
  }
  return out;
}

std::optional<TokenId> Tokenizer::find(std::string_view added_token) const {
  const auto found = impl_->added_ids.find(std::string(added_token));
  if (found == impl_->added_ids.end()) return std::nullopt;
  return found->second;
}

bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < impl_->added.size() && impl_->added[static_cast<size_t>(id)];
}

}  // namespace hadal::text
