// The ledger of a server: who may ask, what each request was sent, and what it cost. Requests never wait for
// the database: keys are in memory (accounts.h), what is under way is in the journal (journal.h), and one
// thread of the ledger's own carries what has ended to the store (store.h) and brings changes of keys back.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ledger/accounts.h"
#include "ledger/prices.h"
#include "ledger/store.h"

namespace hadal::ledger {

struct LedgerOptions {
  std::string database;           // a file, or postgresql://...
  std::string prices;             // a TOML file; empty: nothing costs anything
  std::string journal_directory;  // empty: beside the database's file, or default_journal_directory()
  bool witness = false;           // of the program `hadal` only: witness.h
  double poll_seconds = 0.5;      // changes of keys and prices are seen after that time
};

std::string default_journal_directory();

// What a request counts, from its admission until nothing of its answer can leave any more: the last
// reference that goes hands it to the store. One thread at a time, but withdraw() on any; finish() at most
// once.
class Meter {
 public:
  virtual ~Meter() = default;
  virtual const std::string& request_id() const = 0;
  // Bytes are about to be handed to the system, `size` of them, with which the client has been sent `total`.
  virtual void sending(int socket, size_t size, const Tokens& total) = 0;
  // The system has taken them.
  virtual void sent() = 0;
  // The request has ended: the key has a place for another one. `total` was made for the client and is
  // charged, whether it still leaves or not; nothing: what was sent is.
  virtual void finish(const char* status, const Tokens& total) = 0;
  // The server does not send the rest, made or not, before finish() or after it: what was sent is charged.
  virtual void withdraw(const char* status) = 0;
};

struct Entry {
  Decision decision;
  std::shared_ptr<Place> place;  // when let in
};

struct Admission {
  Decision decision;
  std::shared_ptr<Meter> meter;  // when admitted
};

struct RequestFacts {
  std::string request_id;
  std::string asked_model;   // the price of this name, if it has one, else
  std::string served_model;  // of this: its name in records
  std::string endpoint;
  int64_t prompt_tokens = 0;
  int64_t most_completion_tokens = 0;  // of all its answers: held for it while it runs
};

class Ledger {
 public:
  // Opens the database, settles what a killed server left open, reads keys and prices. Throws Error.
  static std::unique_ptr<Ledger> open(const LedgerOptions& options);
  // Settles what has ended. Meters must be gone.
  ~Ledger();

  std::optional<Caller> authenticate(std::string_view secret) const;
  // The three steps of accounts.h. Of a server of `models` (their own names); nothing is known of the
  // request.
  Entry enter(const Caller& caller, Purpose purpose, std::span<const std::string> models);
  Decision allow(const Caller& caller, const std::string& asked_model, const std::string& served_model) const;
  // The meter keeps the place until its finish().
  Admission admit(const Caller& caller, std::shared_ptr<Place> place, const RequestFacts& facts);
  void count_tokenized(const Caller& caller, int64_t tokens);
  std::optional<Standing> standing(const std::string& key_id) const;
  std::string name_of(const std::string& key_id) const;

  std::string currency() const;
  std::shared_ptr<const PriceTable> prices() const;  // null: none
  void reload();                                     // reads prices and keys again, soon

  // Runs `job` on the ledger's thread after everything that was handed over before. It must not throw.
  // Throws Error{kResource} when too many wait.
  void post(std::function<void(Store&)> job);
  // Returns when every job so far has run.
  void finish_jobs();
  // From a job: keys as the store has them now are in force when it returns.
  void refresh(Store& store);

  // Whether that key made this request and the store does not have its record yet.
  bool is_unsettled(const std::string& request_id, const std::string& key_id) const;

  struct State {
    std::string backend;
    bool available = true;  // the last word with the database went well
    size_t pending = 0;     // records that wait for it
    size_t open_requests = 0;
  };
  State state() const;

 private:
  Ledger() = default;
  class RealMeter;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::ledger
