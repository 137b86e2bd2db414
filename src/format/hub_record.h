// What a pull remembers in its folder: which content each complete file is, and to which content a partial
// file belongs. Small JSON files; a missing, cut or foreign one only means that a file is hashed or fetched
// again.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace hadal::format {

// Beside NAME.part, as NAME.part.json.
struct PartState {
  std::string id;     // HubFile::content_id() of the list; empty: the hub said none
  std::string etag;   // of the answer that the bytes came from
  int64_t size = -1;  // of the whole file
};

std::string part_path(const std::string& file);
std::optional<PartState> read_part_state(const std::string& file);
void write_part_state(const std::string& file, const PartState& state);  // atomically
void remove_part(const std::string& file);                               // the bytes and the state

// folder/.hadal-pull.json. Safe from any thread.
class PullRecord {
 public:
  explicit PullRecord(const std::string& folder);

  // Whether folder/path is, unchanged since, the file that was recorded with this content id (never for an
  // empty id).
  bool holds(const std::string& path, const std::string& id) const;
  // Notes the file as it is on the disk now, and saves.
  void add(const std::string& path, const std::string& id);
  void set_source(const std::string& repository, const std::string& commit);

 private:
  struct Entry {
    std::string id;
    int64_t size = -1;
    int64_t modified_ns = 0;
  };
  std::optional<Entry> on_disk(const std::string& path) const;
  void save() const;

  std::string folder_;
  std::string repository_, commit_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> files_;
};

}  // namespace hadal::format
