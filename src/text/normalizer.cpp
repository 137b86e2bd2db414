#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "text/unicode_versions.h"
#include "text/utf8.h"

namespace hadal::text {

using base::Json;

namespace {

// Characters that are themselves in NFC, begin a sequence, and join nothing before them. Not all of them: the
// ones that most text is made of.
bool starts_afresh(uint32_t point) {
  return point < 0x300 || (point >= 0x4E00 && point <= 0x9FFF) || (point >= 0xAC00 && point <= 0xD7A3) ||
         (point >= 0x3001 && point <= 0x3029) || (point >= 0x3040 && point <= 0x3096) ||
         (point >= 0x309F && point <= 0x30FF) || (point >= 0x400 && point <= 0x482) ||
         (point >= 0x2010 && point <= 0x205E) || (point >= 0xFF01 && point <= 0xFFEF) ||
         (point >= 0x1F000 && point <= 0x1FAFF);
}

void append_utf8(uint32_t point, std::string& out) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(length));
}

// NFC of the characters [first, last), none of which stands_alone: decompose, order, compose.
void compose(const std::vector<uint32_t>& points, size_t first, size_t last, std::string& out) {
  std::vector<utf8proc_int32_t> parts;  // canonical decomposition
  for (size_t i = first; i < last; ++i) {
    std::array<utf8proc_int32_t, 8> buffer{};  // the longest canonical decomposition has 4 characters
    const auto count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(points[i]), buffer.data(), static_cast<utf8proc_ssize_t>(buffer.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), nullptr);
    HADAL_CHECK(count > 0 && count <= static_cast<utf8proc_ssize_t>(buffer.size()));
    parts.insert(parts.end(), buffer.begin(), buffer.begin() + count);
  }
  // Runs of marks in the order of their class. Sorted here: utf8proc's own ordering takes quadratic time.
  const auto mark_class = [](utf8proc_int32_t point) {
    return utf8proc_get_property(point)->combining_class;
  };
  for (auto run = parts.begin(); run != parts.end();) {
    if (mark_class(*run) == 0) {
      ++run;
      continue;
    }
    const auto end = std::find_if(run, parts.end(), [&](auto point) { return mark_class(point) == 0; });
    std::stable_sort(run, end, [&](auto a, auto b) { return mark_class(a) < mark_class(b); });
    run = end;
  }
  const auto count =
      utf8proc_normalize_utf32(parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  HADAL_CHECK(count >= 0);
  for (utf8proc_ssize_t i = 0; i < count; ++i)
    append_utf8(static_cast<uint32_t>(parts[static_cast<size_t>(i)]), out);
}

// U+11A7 stands before the first Hangul final and joins nothing; utf8proc 2.8 takes it for a final and drops
// it.
constexpr uint32_t kBeforeHangulFinals = 0x11A7;

bool stands_alone(uint32_t point) { return unknown_to_nfc(point) || point == kBeforeHangulFinals; }

void normalize_segment(const std::vector<uint32_t>& points, std::string& out) {
  for (size_t first = 0; first < points.size();) {
    size_t last = first;
    while (last < points.size() && !stands_alone(points[last])) ++last;
    compose(points, first, last, out);
    if (last < points.size()) append_utf8(points[last++], out);
    first = last;
  }
}

}  // namespace

Normalizer::Normalizer(const Json& config, const std::string& name) { add(config, name, 0); }

void Normalizer::add(const Json& config, const std::string& name, int depth) {
  if (config.is_null()) return;
  if (!config.is_object())
    throw_error(ErrorCode::kBadInput, "[tokenizer] {}: \"normalizer\" is not an object", name);
  const auto type = config.find("type");
  const auto list = config.find("normalizers");
  if (type != config.end() && *type == "NFC") {
    nfc_ = true;
  } else if (type != config.end() && *type == "Sequence" && list != config.end() && list->is_array() &&
             depth < 8) {
    for (const Json& part : *list) add(part, name, depth + 1);
  } else {
    throw_error(ErrorCode::kUnsupported, "[tokenizer] {}: normalizer {} is not supported (NFC is)", name,
                type == config.end() ? "without a type" : base::dump_json(*type));
  }
}

Json Normalizer::to_json() const {
  if (!nfc_) return Json();
  return {{"type", "NFC"}};
}

std::string_view Normalizer::apply(std::string_view text, std::string& storage) const {
  if (!nfc_) return text;
  storage.clear();
  size_t copied = 0;  // text[0..copied) is in storage
  size_t last = 0;    // where the last character that starts afresh begins
  std::vector<uint32_t> segment;
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = utf8_step(text.substr(i));
    const auto length = static_cast<size_t>(step.length);
    if (step.status != Utf8Status::kValid || starts_afresh(step.code_point)) {
      last = i;
      i += length;
      continue;
    }
    // From the last safe place to the next one.
    segment.clear();
    size_t end = last;
    while (end < text.size()) {
      const Utf8Step next = utf8_step(text.substr(end));
      if (next.status != Utf8Status::kValid) {
        if (end >= i) break;
        end += static_cast<size_t>(next.length);  // a bad byte just before: it stays outside
        last = end;
        continue;
      }
      if (end > last && starts_afresh(next.code_point)) break;
      segment.push_back(next.code_point);
      end += static_cast<size_t>(next.length);
    }
    storage.append(text.substr(copied, last - copied));
    normalize_segment(segment, storage);
    copied = end;
    last = end;
    i = end;
  }
  if (copied == 0) return text;
  storage.append(text.substr(copied));
  return storage;
}

}  // namespace hadal::text
