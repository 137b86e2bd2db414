#include "ledger/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace hadal::ledger {

namespace {

constexpr uint64_t kMagic = 0x314A4C4441440A01;  // "HADAL journal 1", more or less
constexpr int kMostFiles = 64;
constexpr size_t kSlotBytes = 512;
constexpr double kWitnessSeconds = 5;  // a dead server's witness is done by then

constexpr uint32_t kSecondMark = 1;  // which mark is valid
constexpr uint32_t kPending = 2;     // the other one may have been sent

struct Mark {
  int64_t prompt, cached, completion, reasoning;
};

// What does not change while the request is open; checksummed, for power cuts tear pages.
struct Facts {
  char request_id[64], key_id[32], model[192], endpoint[32];
  int64_t started;
  int64_t hit, miss, output;
};

bool put(char* field, size_t size, const std::string& text) {
  if (text.size() >= size) return false;
  std::memset(field, 0, size);
  std::memcpy(field, text.data(), text.size());
  return true;
}

template <size_t N>
std::string get(const char (&field)[N]) {
  return {field, strnlen(field, N)};
}

}  // namespace

struct Journal::Slot {
  std::atomic<uint32_t> open;   // 1: the facts are complete
  std::atomic<uint32_t> state;  // kSecondMark, kPending
  uint64_t checksum;            // of facts
  Facts facts;
  Mark marks[2];
  uint64_t before, size;  // of what is pending
};

// In the place of slot 0.
struct Journal::Header {
  uint64_t magic;
  std::atomic<int64_t> pid;
};

struct Journal::Free {
  std::mutex mutex;
  std::vector<uint32_t> slots;
  std::unordered_map<std::string, std::string> keys;  // of open requests, by request id
};

static_assert(std::atomic<uint32_t>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);

namespace {

template <typename Slot>
Slot* slot_at(void* memory, size_t index) {
  static_assert(sizeof(Slot) <= kSlotBytes);
  return reinterpret_cast<Slot*>(static_cast<char*>(memory) + index * kSlotBytes);
}

constexpr size_t kFileBytes = Journal::kSlots * kSlotBytes;

uint64_t checksum_of(const Facts& facts) { return XXH3_64bits(&facts, sizeof facts); }

std::string file_path(const std::string& directory, const std::string& stem, int number) {
  return fmt::format("{}/{}.open-{}", directory, stem, number);
}

[[noreturn]] void refuse(const std::string& path) {
  throw_error(ErrorCode::kIo, "[ledger] {}: {}", path, std::strerror(errno));
}

void* map_file(int file, const std::string& path) {
  void* memory = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) refuse(path);
  return memory;
}

// Alive, as far as one can tell from here.
bool is_alive(int64_t pid) { return pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM); }

}  // namespace

std::unique_ptr<Journal> Journal::open(const std::string& directory, const std::string& stem) {
  std::unique_ptr<Journal> journal(new Journal);
  journal->directory_ = directory;
  journal->stem_ = stem;
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  for (int number = 0; number < kMostFiles; ++number) {
    const std::string path = file_path(directory, stem, number);
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) refuse(path);
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      ::close(file);
      continue;
    }
    journal->file_ = file;
    journal->number_ = number;
    journal->path_ = path;
    if (::ftruncate(file, kFileBytes) != 0) refuse(path);
    journal->map();
    journal->free_ = std::make_unique<Free>();
    return journal;
  }
  throw_error(ErrorCode::kIo, "[ledger] {}/{}.open-*: {} servers have one already", directory, stem,
              kMostFiles);
}

std::unique_ptr<Journal> Journal::attach(int descriptor) {
  std::unique_ptr<Journal> journal(new Journal);
  journal->path_ = "the journal";
  journal->file_ = descriptor;
  journal->map();
  return journal;
}

void Journal::map() { memory_ = map_file(file_, path_); }

Journal::~Journal() {
  if (memory_ != nullptr) ::munmap(memory_, kFileBytes);
  if (file_ >= 0) ::close(file_);  // and the lock with it
}

// Locked files, this one included. Those whose server is dead and whose witness is still at work are waited
// for.
std::vector<int> Journal::left_files() {
  std::vector<int> files = {file_};
  const double end = base::monotonic_seconds() + kWitnessSeconds;
  for (int number = 0; number < kMostFiles; ++number) {
    if (number == number_) continue;
    const std::string path = file_path(directory_, stem_, number);
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) continue;
    bool locked = ::flock(file, LOCK_EX | LOCK_NB) == 0;
    while (!locked && base::monotonic_seconds() < end) {
      Header header{};
      if (::pread(file, static_cast<void*>(&header), sizeof header, 0) != sizeof header ||
          is_alive(header.pid))
        break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      locked = ::flock(file, LOCK_EX | LOCK_NB) == 0;
    }
    if (locked)
      files.push_back(file);
    else
      ::close(file);
  }
  return files;
}

std::vector<LeftOpen> Journal::read_left(int file) {
  std::vector<LeftOpen> left;
  struct stat about {};
  if (::fstat(file, &about) != 0 || static_cast<size_t>(about.st_size) < kFileBytes) return left;
  void* memory = map_file(file, "the journal");
  if (slot_at<Header>(memory, 0)->magic == kMagic) {
    for (size_t i = 1; i < kSlots; ++i) {
      const Slot& slot = *slot_at<Slot>(memory, i);
      if (slot.open != 1) continue;
      const Facts& facts = slot.facts;
      if (slot.checksum != checksum_of(facts)) {
        spdlog::warn("ledger: a damaged entry of an open request was dropped (slot {})", i);
        continue;
      }
      const uint32_t state = slot.state;
      const bool doubt = (state & kPending) != 0;
      const Mark& mark = slot.marks[(state & kSecondMark) ^ (doubt ? 1 : 0)];
      left.push_back({{get(facts.request_id), get(facts.key_id), get(facts.model), get(facts.endpoint),
                       facts.started, Price{facts.hit, facts.miss, facts.output}},
                      Tokens{mark.prompt, mark.cached, mark.completion, mark.reasoning},
                      doubt});
    }
  }
  ::munmap(memory, kFileBytes);
  return left;
}

// Zeroes through a hole: the file is sparse again. This server's own file is made ready; others are let go.
void Journal::clear_left(int file) {
  if (::ftruncate(file, 0) != 0) refuse(path_);
  if (file != file_) {
    ::close(file);
    return;
  }
  ::munmap(memory_, kFileBytes);
  memory_ = nullptr;
  // With its blocks: a store into a hole of a full disk would kill the server.
  if (const int error = ::posix_fallocate(file, 0, kFileBytes); error != 0) {
    errno = error;
    refuse(path_);
  }
  map();
  auto* header = slot_at<Header>(memory_, 0);
  header->magic = kMagic;
  header->pid = ::getpid();
  const std::lock_guard lock(free_->mutex);
  free_->slots.clear();
  for (size_t i = kSlots - 1; i >= 1; --i) free_->slots.push_back(static_cast<uint32_t>(i));
}

std::optional<size_t> Journal::begin(const OpenRequest& request) {
  size_t index = 0;
  {
    const std::lock_guard lock(free_->mutex);
    if (free_->slots.empty()) return {};
    index = free_->slots.back();
    free_->slots.pop_back();
  }
  Slot& slot = *slot_at<Slot>(memory_, index);
  std::memset(&slot.facts, 0, sizeof slot.facts);
  Facts& facts = slot.facts;
  if (!put(facts.request_id, sizeof facts.request_id, request.request_id) ||
      !put(facts.key_id, sizeof facts.key_id, request.key_id) ||
      !put(facts.model, sizeof facts.model, request.model) ||
      !put(facts.endpoint, sizeof facts.endpoint, request.endpoint)) {
    end(index);
    return {};
  }
  facts.started = request.started;
  facts.hit = request.price.hit;
  facts.miss = request.price.miss;
  facts.output = request.price.output;
  slot.checksum = checksum_of(facts);
  slot.marks[0] = slot.marks[1] = {};
  slot.state = 0;
  slot.open.store(1, std::memory_order_release);
  const std::lock_guard lock(free_->mutex);
  free_->keys[request.request_id] = request.key_id;
  return index;
}

void Journal::sending(size_t index, const Tokens& total, uint64_t before, uint64_t size) {
  Slot& slot = *slot_at<Slot>(memory_, index);
  const uint32_t valid = slot.state & kSecondMark;
  slot.marks[valid ^ 1] = {total.prompt, total.cached, total.completion, total.reasoning};
  slot.before = before;
  slot.size = size;
  slot.state.store(valid | kPending, std::memory_order_release);
}

void Journal::sent(size_t index) { resolve(index, true); }

void Journal::resolve(size_t index, bool left) {
  Slot& slot = *slot_at<Slot>(memory_, index);
  const uint32_t state = slot.state;
  if ((state & kPending) == 0) return;
  const uint32_t valid = state & kSecondMark;
  slot.state.store(left ? valid ^ 1 : valid, std::memory_order_release);
}

std::optional<Journal::Pending> Journal::pending(size_t index) const {
  const Slot& slot = *slot_at<Slot>(memory_, index);
  if (slot.open != 1 || (slot.state & kPending) == 0) return {};
  return Pending{slot.before, slot.size};
}

Tokens Journal::sent_so_far(size_t index) const {
  const Slot& slot = *slot_at<Slot>(memory_, index);
  const Mark& mark = slot.marks[slot.state & kSecondMark];
  return {mark.prompt, mark.cached, mark.completion, mark.reasoning};
}

void Journal::end(size_t index) {
  Slot& slot = *slot_at<Slot>(memory_, index);
  const std::string request_id = get(slot.facts.request_id);
  slot.open.store(0, std::memory_order_release);
  const std::lock_guard lock(free_->mutex);
  free_->keys.erase(request_id);
  free_->slots.push_back(static_cast<uint32_t>(index));
}

size_t Journal::open_count() const {
  const std::lock_guard lock(free_->mutex);
  return kSlots - 1 - free_->slots.size();
}

bool Journal::has(const std::string& request_id, const std::string& key_id) const {
  const std::lock_guard lock(free_->mutex);
  const auto found = free_->keys.find(request_id);
  return found != free_->keys.end() && found->second == key_id;
}

void Journal::sync() { ::msync(memory_, kFileBytes, MS_SYNC); }

}  // namespace hadal::ledger
