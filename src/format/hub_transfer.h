// One file of a pull, from what is on the disk already to its final name. See hub_download.h for what holds.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "format/hub_client.h"
#include "format/hub_hash.h"
#include "format/hub_record.h"

namespace hadal::format {

// Counters of a whole pull, moved by several transfers at once.
struct PullCounters {
  std::atomic<int64_t> bytes_done{0};
  std::atomic<int64_t> bytes_fetched{0};
  std::atomic<int64_t> files_done{0};
  std::atomic<int64_t> files_fetched{0};
};

class HubTransfer {
 public:
  HubTransfer(const HubOptions& options, const HubListing& listing, const HubFile& file,
              const std::string& folder, PullRecord& record, PullCounters& counters);
  ~HubTransfer();
  HubTransfer(const HubTransfer&) = delete;
  HubTransfer& operator=(const HubTransfer&) = delete;

  // Bytes of NAME.part that can be continued, as far as is known before the server was asked.
  int64_t resumable_bytes() const;
  // Whether NAME is there and complete; hashes it when the record does not know it.
  bool is_complete();
  // Fetches it. Throws as pull_files does.
  void run(HttpClient& client);

 private:
  enum class Step { kDone, kAgain, kWait };  // kWait: after a pause, and only so many times
  Step attempt(HttpClient& client);
  Step finish();
  bool accept(const HttpHead& head);
  bool accept_part(const HttpHead& head);
  bool complain(const std::string& reason);
  bool write(std::string_view bytes);
  void begin_at_zero(const HttpHead& head);
  bool can_continue(const std::optional<PartState>& state, int64_t part_bytes) const;
  void resume_from_disk();
  void restart();
  void publish();
  void open_part(bool truncate);
  void close_part();
  std::string hash_id() const;
  [[noreturn]] void fail_disk(const char* action) const;

  const HubOptions& options_;
  const HubListing& listing_;
  HubFile file_;
  std::string id_;    // the content that is wanted: the list's, or that of commit and path
  std::string path_;  // the final name
  std::string what_;  // for messages
  PullRecord& record_;
  PullCounters& counters_;

  int fd_ = -1;
  PartState state_;
  int64_t offset_ = 0;  // bytes of NAME.part, all of them in hash_
  std::optional<ContentHash> hash_;
  bool must_restart_ = false;  // what the server sends is no continuation of the partial file
  std::string complaint_;      // why an answer was not accepted, or ended early
  double retry_after_ = 0;
  int corrupt_ = 0;   // times that the whole had a wrong hash
  int restarts_ = 0;  // times that the server's content changed
};

}  // namespace hadal::format
