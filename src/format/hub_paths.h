// Which files of a hub repository to fetch, and which names may be written at all.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hadal::format {

// One file of a repository as the hub lists it.
struct HubFile {
  std::string path;      // relative, '/' between folders
  int64_t size = -1;     // bytes; -1: not said
  std::string sha256;    // 64 hex digits, of files in large-file storage
  std::string git_sha1;  // 40 hex digits: the git blob's id, of the others

  // "sha256:..." or "git:...", empty when the hub says neither: the same text means the same bytes.
  std::string content_id() const;
};

// Whether `path` may be created below a folder: relative, no empty, "." or ".." part, no control character or
// backslash, names of at most 255 bytes, and none of the names that a pull keeps for itself (*.part,
// *.part.json, .lock, .hadal-pull.json). A list from the network holds whatever its sender likes.
bool is_safe_path(std::string_view path);

// fnmatch(3) as the hub's own client uses it: '*' and '?' also match '/', and a pattern that ends in '/'
// means everything below.
bool matches_glob(std::string_view pattern, std::string_view path);

// The files that a pull fetches, in the order of `files`. Without `include`: what Hadal loads (config,
// tokenizer, *.safetensors and their index in the top folder, README and LICENSE), and *.gguf from anywhere
// when there is no safetensors file. With it: only what one of those patterns matches. `exclude` takes away
// from either. Throws Error{kBadInput} naming `where` when nothing is left, and when the choice falls on more
// than one GGUF model without `include`: repositories hold one model in twenty sizes.
std::vector<HubFile> select_files(std::span<const HubFile> files, std::span<const std::string> include,
                                  std::span<const std::string> exclude, const std::string& where);

// "8.6 GB": decimal units, as disks and networks are sold.
std::string bytes_text(int64_t bytes);

}  // namespace hadal::format
