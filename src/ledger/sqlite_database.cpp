#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <unordered_map>

#include "base/error.h"
#include "ledger/database.h"

namespace hadal::ledger {

namespace {

constexpr int kBusyMilliseconds = 10'000;

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(const std::string& path) : path_(path) {
    // For its owner only, as are the files that SQLite puts beside it: it holds what people consented to
    // give.
    if (const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); file >= 0) ::close(file);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
      const std::string reason = db_ != nullptr ? sqlite3_errmsg(db_) : "no memory";
      sqlite3_close(db_);
      throw_error(ErrorCode::kIo, "[ledger] {}: {}", path, reason);
    }
    sqlite3_busy_timeout(db_, kBusyMilliseconds);
    try {
      run("PRAGMA journal_mode = WAL");
      run("PRAGMA synchronous = FULL");
      run("PRAGMA foreign_keys = ON");
    } catch (...) {
      close();
      throw;
    }
  }
  ~SqliteDatabase() override { close(); }

  Result run(const std::string& sql, const std::vector<Value>& parameters) override {
    sqlite3_stmt* statement = prepare(sql);
    for (size_t i = 0; i < parameters.size(); ++i) bind(statement, i, parameters[i]);
    Result result;
    for (;;) {
      const int code = sqlite3_step(statement);
      if (code == SQLITE_DONE) break;
      if (code != SQLITE_ROW) {
        const std::string reason = sqlite3_errmsg(db_);
        sqlite3_reset(statement);
        throw_error(ErrorCode::kIo, "[ledger] {}: {}", path_, reason);
      }
      result.rows.push_back(read_row(statement));
    }
    if (sqlite3_stmt_readonly(statement) == 0) result.changed = sqlite3_changes(db_);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
  }

  void begin() override { run("BEGIN IMMEDIATE", {}); }
  void commit() override { run("COMMIT", {}); }
  void rollback() noexcept override {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);  // fails where SQLite has rolled back itself
  }
  const char* backend() const override { return "sqlite"; }

 private:
  Result run(const std::string& sql) { return run(sql, {}); }

  void close() {
    for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(db_);
  }

  // The statements are few and fixed: each is compiled once.
  sqlite3_stmt* prepare(const std::string& sql) {
    const auto found = statements_.find(sql);
    if (found != statements_.end()) return found->second;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr) !=
        SQLITE_OK) {
      throw_error(ErrorCode::kIo, "[ledger] {}: {}", path_, sqlite3_errmsg(db_));
    }
    return statements_[sql] = statement;
  }

  static void bind(sqlite3_stmt* statement, size_t index, const Value& value) {
    const int at = sqlite3_bind_parameter_index(statement, fmt::format("${}", index + 1).c_str());
    if (at == 0) return;  // the statement does not use it
    if (const auto* number = std::get_if<int64_t>(&value)) {
      sqlite3_bind_int64(statement, at, *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      sqlite3_bind_text64(statement, at, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    } else {
      sqlite3_bind_null(statement, at);
    }
  }

  static Row read_row(sqlite3_stmt* statement) {
    Row row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      switch (sqlite3_column_type(statement, i)) {
        case SQLITE_NULL:
          row.emplace_back();
          break;
        case SQLITE_INTEGER:
          row.emplace_back(int64_t{sqlite3_column_int64(statement, i)});
          break;
        default: {
          const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
          row.emplace_back(std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement, i))));
        }
      }
    }
    return row;
  }

  std::string path_;
  sqlite3* db_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace

std::unique_ptr<Database> open_sqlite(const std::string& path) {
  return std::make_unique<SqliteDatabase>(path);
}

}  // namespace hadal::ledger
