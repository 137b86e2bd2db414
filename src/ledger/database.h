// A connection to a SQL database, as far as the ledger's statements need it: two backends that take the same
// text. Parameters are $1, $2, ...; integers are 64 bits. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace hadal::ledger {

using Value = std::variant<std::monostate, int64_t, std::string>;
using Row = std::vector<Value>;

struct Result {
  std::vector<Row> rows;
  int64_t changed = 0;  // rows that an INSERT, UPDATE or DELETE has written
};

// Errors are Error{kIo} "[ledger] ...": the database cannot be reached, is full, or refuses. After one inside
// a transaction nothing of it has happened, except where the answer to its commit was lost.
class Database {
 public:
  virtual ~Database() = default;

  virtual Result run(const std::string& sql, const std::vector<Value>& parameters = {}) = 0;

  // A transaction that writes. One at a time.
  virtual void begin() = 0;
  virtual void commit() = 0;
  virtual void rollback() noexcept = 0;

  virtual const char* backend() const = 0;  // "sqlite" or "postgresql"
};

// A file, made where there is none; WAL, every commit synced. Waits up to 10 s for other writers.
std::unique_ptr<Database> open_sqlite(const std::string& path);

// "postgresql://..."; connects again when the server was away.
std::unique_ptr<Database> open_postgres(const std::string& url);

bool is_postgres_url(const std::string& name);

// Rolls back what was not committed.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.begin(); }
  ~Transaction() {
    if (!done_) database_.rollback();
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    database_.commit();
    done_ = true;
  }

 private:
  Database& database_;
  bool done_ = false;
};

}  // namespace hadal::ledger
