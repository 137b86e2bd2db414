#include <cstdlib>
#include <optional>
#include <pqxx/pqxx>

#include "base/error.h"
#include "ledger/database.h"

namespace hadal::ledger {

namespace {

// Object ids of PostgreSQL's integer types (pg_type.dat).
constexpr pqxx::oid kInt8 = 20, kInt2 = 21, kInt4 = 23;

// Addresses may hold a password: errors name the host and the database only, which libpq's own text does.
class PostgresDatabase final : public Database {
 public:
  explicit PostgresDatabase(std::string url) : url_(std::move(url)) { connect(); }

  Result run(const std::string& sql, const std::vector<Value>& parameters) override {
    return guarded([&] {
      if (parameters.empty()) return read(session_->exec(sql));
      std::vector<std::optional<std::string>> texts;
      for (const Value& value : parameters) {
        if (const auto* number = std::get_if<int64_t>(&value)) {
          texts.emplace_back(fmt::format("{}", *number));
        } else if (const auto* text = std::get_if<std::string>(&value)) {
          texts.emplace_back(*text);
        } else {
          texts.emplace_back();
        }
      }
      std::vector<const char*> pointers;
      for (const auto& text : texts) pointers.push_back(text ? text->c_str() : nullptr);
      return read(session_->exec_params(sql, pqxx::prepare::make_dynamic_params(pointers)));
    });
  }

  void begin() override {
    guarded([&] { return read(session_->exec("BEGIN")); });
    in_transaction_ = true;
  }
  void commit() override {
    guarded([&] { return read(session_->exec("COMMIT")); });
    in_transaction_ = false;
  }
  void rollback() noexcept override {
    in_transaction_ = false;
    try {
      if (session_) session_->exec("ROLLBACK");
    } catch (const std::exception&) {
      drop();  // the server rolls back what a lost connection has left
    }
  }
  const char* backend() const override { return "postgresql"; }

 private:
  void connect() {
    try {
      connection_ = std::make_unique<pqxx::connection>(with_limits(url_));
      session_ = std::make_unique<pqxx::nontransaction>(*connection_);
    } catch (const std::exception& e) {
      drop();
      throw_error(ErrorCode::kIo, "[ledger] PostgreSQL: {}", one_line(e.what()));
    }
  }

  // A network that falls silent must not hold the ledger's thread for hours. What the URL says goes first.
  static std::string with_limits(std::string url) {
    for (const char* limit : {"connect_timeout=10", "tcp_user_timeout=15000"}) {
      const std::string_view name = std::string_view(limit).substr(0, std::string_view(limit).find('=') + 1);
      if (url.find(name) != std::string::npos) continue;
      url += url.find('?') == std::string::npos ? '?' : '&';
      url += limit;
    }
    return url;
  }

  void drop() noexcept {
    session_.reset();
    connection_.reset();
  }

  // A connection that was lost between transactions is made again, once.
  template <typename Work>
  Result guarded(const Work& work) {
    if (!session_) connect();
    for (bool again = !in_transaction_;; again = false) {
      try {
        return work();
      } catch (const pqxx::broken_connection& e) {
        drop();
        if (!again) throw_error(ErrorCode::kIo, "[ledger] PostgreSQL: {}", one_line(e.what()));
        connect();
      } catch (const std::exception& e) {
        throw_error(ErrorCode::kIo, "[ledger] PostgreSQL: {}", one_line(e.what()));
      }
    }
  }

  static std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text) c = c == '\n' ? ' ' : c;
    return text;
  }

  static Result read(const pqxx::result& answer) {
    Result result;
    result.changed = static_cast<int64_t>(answer.affected_rows());
    for (const auto& line : answer) {
      Row row;
      for (const auto& field : line) {
        if (field.is_null()) {
          row.emplace_back();
          continue;
        }
        const pqxx::oid type = field.type();
        if (type == kInt8 || type == kInt4 || type == kInt2) {
          row.emplace_back(int64_t{std::strtoll(field.c_str(), nullptr, 10)});
        } else {
          row.emplace_back(std::string(field.c_str(), field.size()));
        }
      }
      result.rows.push_back(std::move(row));
    }
    return result;
  }

  std::string url_;
  std::unique_ptr<pqxx::connection> connection_;
  std::unique_ptr<pqxx::nontransaction> session_;
  bool in_transaction_ = false;
};

}  // namespace

bool is_postgres_url(const std::string& name) {
  return name.starts_with("postgresql://") || name.starts_with("postgres://");
}

std::unique_ptr<Database> open_postgres(const std::string& url) {
  return std::make_unique<PostgresDatabase>(url);
}

}  // namespace hadal::ledger
