#include "ledger/ledger.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <future>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "ledger/journal.h"
#include "ledger/secrets.h"
#include "ledger/witness.h"

namespace hadal::ledger {

namespace {

constexpr size_t kMostJobs = 1000;
constexpr size_t kMostRecordsAtOnce = 256;
constexpr double kRetrySeconds = 1;       // after the database failed
constexpr double kFullReloadSeconds = 5;  // what other servers have spent
constexpr double kSyncSeconds = 1;        // of the journal: what a power cut may lose
constexpr double kLastTrySeconds = 5;     // for the database, when the server stops

// What the file is now, to see a change: its time, size and place.
std::string stamp_of(const std::string& path) {
  struct stat about {};
  if (path.empty() || ::stat(path.c_str(), &about) != 0) return {};
  return fmt::format("{}.{} {} {}", about.st_mtim.tv_sec, about.st_mtim.tv_nsec, about.st_size, about.st_ino);
}

// One name for a database, whatever its URL's password.
std::string stem_of(const std::string& database) {
  if (!is_postgres_url(database)) return std::filesystem::path(database).filename().string();
  const size_t at = database.find('@');
  const std::string place = database.substr(at == std::string::npos ? 0 : at);
  return "postgresql-" + secret_hash(place).substr(0, 16);
}

std::string directory_of(const LedgerOptions& options) {
  if (!options.journal_directory.empty()) return options.journal_directory;
  if (is_postgres_url(options.database)) return default_journal_directory();
  const auto parent = std::filesystem::path(options.database).parent_path();
  return parent.empty() ? "." : parent.string();
}

struct Ended {
  UsageRecord record;
  size_t slot = 0;
};

int64_t count(const Tokens& tokens) { return tokens.prompt + tokens.completion; }

bool costs_something(const Price& price) { return price.hit > 0 || price.miss > 0 || price.output > 0; }

Claim difference(const Claim& a, const Claim& b) {
  return {a.tokens - b.tokens, a.cost - b.cost, a.unseen - b.unseen};
}

}  // namespace

std::string default_journal_directory() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return std::string(state) + "/hadal/ledger";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "/tmp") + "/.local/state/hadal/ledger";
}

struct Ledger::Impl {
  explicit Impl(const LedgerOptions& given) : options(given) {}

  // ---- Start

  void start() {
    store = Store::open(options.database);
    if (!options.prices.empty()) {
      auto table = PriceTable::load(options.prices);
      store->set_currency(table.currency);
      prices_stamp = stamp_of(options.prices);
      prices = std::make_shared<const PriceTable>(std::move(table));
    }
    currency = store->currency();
    if (currency.empty()) currency = "USD";
    journal = Journal::open(directory_of(options), stem_of(options.database));
    journal->recover([this](const std::vector<LeftOpen>& left) { settle_left(left); });
    if (options.witness) witness = std::make_unique<Witness>(*journal);
    load_keys();
    worker = std::thread([this] { work(); });
  }

  void settle_left(const std::vector<LeftOpen>& left) {
    std::vector<UsageRecord> records;
    size_t doubtful = 0;
    for (const LeftOpen& open : left) {
      const OpenRequest& r = open.request;
      records.push_back({r.request_id, r.key_id, r.model, r.endpoint, "crashed", r.started, unix_ms(),
                         open.sent, cost_of(r.price, open.sent)});
      doubtful += open.in_doubt ? 1 : 0;
    }
    const size_t fresh = store->settle(records);
    spdlog::warn(
        "ledger: settled {} requests that were open when a server died ({} known already, {} in doubt)",
        fresh, records.size() - fresh, doubtful);
  }

  // ---- The worker

  void work() {
    std::unique_lock lock(mutex);
    double stop_by = 0;
    for (;;) {
      wake.wait_for(lock, std::chrono::duration<double>(options.poll_seconds),
                    [this] { return stopping || !jobs.empty() || (!ended.empty() && !failing); });
      if (stopping && stop_by == 0) stop_by = base::monotonic_seconds() + kLastTrySeconds;
      std::deque<std::function<void(Store&)>> now;
      now.swap(jobs);
      lock.unlock();
      settle();
      for (const auto& job : now) run(job);
      watch();
      lock.lock();
      if (!stopping) continue;
      if ((ended.empty() && jobs.empty()) || base::monotonic_seconds() > stop_by) break;
      if (failing) wake.wait_for(lock, std::chrono::milliseconds(200));
    }
    if (!ended.empty())
      spdlog::error("ledger: {} records stay in {} for the next start", ended.size(), journal->path());
  }

  void run(const std::function<void(Store&)>& job) {
    try {
      job(*store);
    } catch (const std::exception& e) {
      spdlog::error("ledger: {}", e.what());
    }
  }

  void settle() {
    for (;;) {
      std::vector<Ended> batch;
      {
        const std::lock_guard lock(mutex);
        if (failing && base::monotonic_seconds() < retry_at && !stopping) return;
        for (size_t i = 0; i < ended.size() && i < kMostRecordsAtOnce; ++i) batch.push_back(ended[i]);
      }
      if (batch.empty()) return;
      std::vector<UsageRecord> records;
      for (const Ended& one : batch) records.push_back(one.record);
      try {
        store->settle(records);
      } catch (const std::exception& e) {
        const std::lock_guard lock(mutex);
        if (!failing) spdlog::error("ledger: {} records wait: {}", ended.size(), e.what());
        failing = true;
        retry_at = base::monotonic_seconds() + kRetrySeconds;
        return;
      }
      for (const Ended& one : batch) {
        accounts.settled(one.record);
        if (witness) witness->forget(one.slot);
        journal->end(one.slot);
      }
      const std::lock_guard lock(mutex);
      ended.erase(ended.begin(), ended.begin() + static_cast<std::ptrdiff_t>(batch.size()));
      if (failing) spdlog::info("ledger: the database answers again");
      failing = false;
    }
  }

  // What others have changed.
  void watch() {
    const double now = base::monotonic_seconds();
    if (now >= next_sync) {
      next_sync = now + kSyncSeconds;
      journal->sync();
    }
    const bool asked = reload_asked.exchange(false);
    if (!asked && now < next_poll) return;
    next_poll = now + options.poll_seconds;
    try {
      if (asked || now >= next_load || store->generation() != generation) load_keys();
    } catch (const std::exception& e) {
      if (!failing) spdlog::error("ledger: keys stay as they were: {}", e.what());
      const std::lock_guard lock(mutex);
      failing = true;
      retry_at = now + kRetrySeconds;
    }
    const std::string stamp = stamp_of(options.prices);
    if (options.prices.empty() || (!asked && stamp == prices_stamp)) return;
    prices_stamp = stamp;
    try {
      auto table = PriceTable::load(options.prices);
      store->set_currency(table.currency);
      const std::lock_guard lock(mutex);
      prices = std::make_shared<const PriceTable>(std::move(table));
      spdlog::info("ledger: prices of {} are in force", options.prices);
    } catch (const std::exception& e) {
      spdlog::error("ledger: prices stay as they were: {}", e.what());
    }
  }

  void load_keys() {
    generation = store->generation();
    const int64_t now = unix_ms();
    auto totals = store->day_totals(first_day_of_month(now / kDayMs));
    accounts.load(store->keys(), std::move(totals), now);
    next_load = base::monotonic_seconds() + kFullReloadSeconds;
    const std::lock_guard lock(mutex);
    if (ended.empty()) failing = false;
  }

  // ---- Prices, any thread

  Price price_of(std::string_view asked, std::string_view served, int64_t now) const {
    const std::lock_guard lock(mutex);
    const ModelPrice* row = prices ? prices->find(asked, served) : nullptr;
    return row != nullptr ? price_at(*row, now / 1000) : Price{};
  }

  // Whatever a request to a server of these models asks for, by whatever name.
  bool everything_costs(std::span<const std::string> models, int64_t now) const {
    const std::lock_guard lock(mutex);
    return prices &&
           std::ranges::all_of(
               prices->models,
               [&](const ModelPrice& row) { return costs_something(price_at(row, now / 1000)); }) &&
           std::ranges::all_of(
               models, [&](const std::string& model) { return prices->find(model, model) != nullptr; });
  }

  void hand_over(Ended one) {
    const std::lock_guard lock(mutex);
    ended.push_back(std::move(one));
    wake.notify_one();
  }

  LedgerOptions options;
  std::unique_ptr<Store> store;  // the worker's, once it runs
  std::unique_ptr<Journal> journal;
  std::unique_ptr<Witness> witness;
  Accounts accounts;
  std::string currency;
  std::atomic<bool> reload_asked{false};
  std::thread worker;

  // The worker's own.
  std::string prices_stamp;
  int64_t generation = 0;
  double next_poll = 0, next_load = 0, next_sync = 0, retry_at = 0;

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable wake;
  std::shared_ptr<const PriceTable> prices;
  std::deque<std::function<void(Store&)>> jobs;
  std::deque<Ended> ended;
  bool failing = false;
  bool stopping = false;
};

class Ledger::RealMeter final : public Meter {
 public:
  RealMeter(Impl& impl, OpenRequest request, size_t slot, std::shared_ptr<Place> place, const Tokens& most,
            const Claim& claim)
      : impl_(impl),
        request_(std::move(request)),
        slot_(slot),
        place_(std::move(place)),
        most_(most),
        claim_(claim) {}

  ~RealMeter() override {
    place_->leave();
    Tokens charged = impl_.journal->sent_so_far(slot_);
    // Made, but not all of it could be sent: the client has left.
    const bool cut = count(total_) > count(charged);
    if (cut) {  // from here on a kill settles the same
      charged = total_;
      impl_.journal->sending(slot_, charged, kUnknownBytes, 0);
      impl_.journal->sent(slot_);
    }
    most_ = charged;
    tell_accounts(charged);
    impl_.hand_over({{request_.request_id, request_.key_id, request_.model, request_.endpoint,
                      cut ? "cancelled" : status_, request_.started, unix_ms(), charged, sent_.cost},
                     slot_});
  }

  const std::string& request_id() const override { return request_.request_id; }

  void sending(int socket, size_t size, const Tokens& total) override {
    if (impl_.witness && socket != watched_) {
      impl_.witness->watch(slot_, socket);
      watched_ = socket;
    }
    {
      const std::lock_guard lock(mutex_);
      tell_accounts(total);
    }
    impl_.journal->sending(slot_, total, impl_.witness ? bytes_taken(socket) : kUnknownBytes, size);
  }

  void sent() override { impl_.journal->sent(slot_); }

  void finish(const char* status, const Tokens& total) override {
    {
      const std::lock_guard lock(mutex_);
      if (!withdrawn_) end(status, total);
    }
    place_->leave();
  }

  void withdraw(const char* status) override {
    {
      const std::lock_guard lock(mutex_);
      withdrawn_ = true;
      end(status, {});
    }
    place_->leave();
  }

 private:
  void end(const char* status, const Tokens& total) {
    status_ = status;
    total_ = most_ = total;
    tell_accounts(sent_total_);  // what is claimed shrinks
  }

  void tell_accounts(const Tokens& sent_total) {
    sent_total_ = sent_total;
    const Claim sent{count(sent_total), cost_of(request_.price, sent_total), 0};
    const int64_t seen = std::max(seen_, sent_total.completion);
    const Claim claim{std::max(count(most_), sent.tokens),
                      std::max(cost_of(request_.price, most_), sent.cost),
                      std::max<int64_t>(0, most_.completion - seen)};
    impl_.accounts.change(request_.key_id, difference(sent, sent_), difference(claim, claim_), seen - seen_,
                          unix_ms());
    sent_ = sent;
    claim_ = claim;
    seen_ = seen;
  }

  Impl& impl_;
  const OpenRequest request_;
  const size_t slot_;
  const std::shared_ptr<Place> place_;
  int watched_ = -1;

  std::mutex mutex_;  // guards what follows: an answer ends while earlier bytes of it leave
  const char* status_ = "cancelled";
  bool withdrawn_ = false;
  Tokens total_;       // that finish() was told
  Tokens most_;        // that it may still come to
  Tokens sent_total_;  // what the accounts know: sent and claimed,
  Claim sent_, claim_;
  int64_t seen_ = 0;  // and of the completion, in the minute
};

std::unique_ptr<Ledger> Ledger::open(const LedgerOptions& options) {
  std::unique_ptr<Ledger> ledger(new Ledger);
  ledger->impl_ = std::make_unique<Impl>(options);
  ledger->impl_->start();
  return ledger;
}

Ledger::~Ledger() {
  if (!impl_ || !impl_->worker.joinable()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->wake.notify_one();
  }
  impl_->worker.join();
}

std::optional<Caller> Ledger::authenticate(std::string_view secret) const {
  return impl_->accounts.authenticate(secret, unix_ms());
}

Entry Ledger::enter(const Caller& caller, Purpose purpose, std::span<const std::string> models) {
  const int64_t now = unix_ms();
  const Decision decision =
      impl_->accounts.enter(caller.key_id, purpose, impl_->everything_costs(models, now), now);
  if (decision.verdict != Verdict::kAdmitted) return {decision, nullptr};
  return {decision, std::make_shared<Place>(impl_->accounts, caller.key_id)};
}

Decision Ledger::allow(const Caller& caller, const std::string& asked_model,
                       const std::string& served_model) const {
  const int64_t now = unix_ms();
  return impl_->accounts.allow(caller.key_id, asked_model, served_model,
                               costs_something(impl_->price_of(asked_model, served_model, now)), now);
}

void Ledger::count_tokenized(const Caller& caller, int64_t tokens) {
  impl_->accounts.count_tokenized(caller.key_id, tokens, unix_ms());
}

Admission Ledger::admit(const Caller& caller, std::shared_ptr<Place> place, const RequestFacts& facts) {
  const int64_t now = unix_ms();
  const Price price = impl_->price_of(facts.asked_model, facts.served_model, now);
  const Tokens most{facts.prompt_tokens, price.hit > price.miss ? facts.prompt_tokens : 0,
                    facts.most_completion_tokens, 0};
  const Claim claim{count(most), cost_of(price, most), most.completion};
  Admission admission;
  place->counted();  // by the claim, whatever becomes of it
  admission.decision = impl_->accounts.claim(caller.key_id, facts.prompt_tokens, claim, now);
  if (admission.decision.verdict != Verdict::kAdmitted) return admission;
  OpenRequest request{facts.request_id, caller.key_id, facts.served_model, facts.endpoint, now, price};
  const auto slot = impl_->journal->begin(request);
  if (!slot) {
    impl_->accounts.change(caller.key_id, {}, difference({}, claim), 0, now);
    admission.decision = {Verdict::kBusy, 0, 1};
    return admission;
  }
  admission.meter =
      std::make_shared<RealMeter>(*impl_, std::move(request), *slot, std::move(place), most, claim);
  return admission;
}

std::optional<Standing> Ledger::standing(const std::string& key_id) const {
  return impl_->accounts.standing(key_id, unix_ms());
}

std::string Ledger::name_of(const std::string& key_id) const { return impl_->accounts.name_of(key_id); }

std::string Ledger::currency() const { return impl_->currency; }

std::shared_ptr<const PriceTable> Ledger::prices() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->prices;
}

void Ledger::reload() { impl_->reload_asked = true; }

void Ledger::post(std::function<void(Store&)> job) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->jobs.size() >= kMostJobs) {
    throw_error(ErrorCode::kResource, "[ledger] the database is behind: {} questions wait; try again later",
                kMostJobs);
  }
  impl_->jobs.push_back(std::move(job));
  impl_->wake.notify_one();
}

void Ledger::finish_jobs() {
  std::promise<void> done;
  {
    const std::lock_guard lock(impl_->mutex);  // past the limit, if need be
    impl_->jobs.push_back([&done](Store&) { done.set_value(); });
    impl_->wake.notify_one();
  }
  done.get_future().wait();
}

bool Ledger::is_unsettled(const std::string& request_id, const std::string& key_id) const {
  return impl_->journal->has(request_id, key_id);
}

void Ledger::refresh(Store&) { impl_->load_keys(); }

Ledger::State Ledger::state() const {
  const std::lock_guard lock(impl_->mutex);
  return {impl_->store->backend(), !impl_->failing, impl_->ended.size(), impl_->journal->open_count()};
}

}  // namespace hadal::ledger
