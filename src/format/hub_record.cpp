#include "format/hub_record.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace hadal::format {
namespace {

using base::Json;

constexpr const char* kRecordName = "/.hadal-pull.json";
constexpr int kVersion = 1;

// Null when there is no such file or it does not hold an object: never an error.
Json read_object(const std::string& path) {
  if (!base::file_exists(path)) return nullptr;
  try {
    Json json = base::read_json_file(path);
    return json.is_object() ? json : Json(nullptr);
  } catch (const Error&) {
    return nullptr;
  }
}

std::string text(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

int64_t count(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_number_integer() ? it->get<int64_t>() : -1;
}

}  // namespace

std::string part_path(const std::string& file) { return file + ".part"; }

std::optional<PartState> read_part_state(const std::string& file) {
  const Json json = read_object(part_path(file) + ".json");
  if (json.is_null()) return std::nullopt;
  return PartState{text(json, "id"), text(json, "etag"), count(json, "size")};
}

void write_part_state(const std::string& file, const PartState& state) {
  const Json json = {{"id", state.id}, {"etag", state.etag}, {"size", state.size}};
  base::write_file_atomic(part_path(file) + ".json", base::dump_json(json));
}

void remove_part(const std::string& file) {
  // The bytes first: a state without bytes is harmless, bytes with another file's state are not.
  ::unlink(part_path(file).c_str());
  ::unlink((part_path(file) + ".json").c_str());
}

PullRecord::PullRecord(const std::string& folder) : folder_(folder) {
  const Json json = read_object(folder_ + kRecordName);
  if (json.is_null() || count(json, "version") != kVersion) return;
  const auto files = json.find("files");
  if (files == json.end() || !files->is_object()) return;
  for (const auto& [path, entry] : files->items())
    if (entry.is_object())
      files_[path] = {text(entry, "id"), count(entry, "size"), count(entry, "modified_ns")};
}

std::optional<PullRecord::Entry> PullRecord::on_disk(const std::string& path) const {
  struct stat info {};
  if (::stat((folder_ + "/" + path).c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return Entry{"", info.st_size, int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

bool PullRecord::holds(const std::string& path, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto it = files_.find(path);
  if (id.empty() || it == files_.end() || it->second.id != id) return false;
  const auto now = on_disk(path);
  return now && now->size == it->second.size && now->modified_ns == it->second.modified_ns;
}

void PullRecord::add(const std::string& path, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto now = on_disk(path);
  if (!now) return;
  files_[path] = {id, now->size, now->modified_ns};
  save();
}

void PullRecord::set_source(const std::string& repository, const std::string& commit) {
  const std::lock_guard lock(mutex_);
  repository_ = repository;
  commit_ = commit;
}

void PullRecord::save() const {
  Json files = Json::object();
  for (const auto& [path, entry] : files_)
    files[path] = {{"id", entry.id}, {"size", entry.size}, {"modified_ns", entry.modified_ns}};
  const Json json = {
      {"version", kVersion}, {"repository", repository_}, {"commit", commit_}, {"files", std::move(files)}};
  base::write_file_atomic(folder_ + kRecordName, base::dump_json(json, 1));
}

}  // namespace hadal::format
