// A scorer behind HTTP: POSTs what the reward sees as JSON, takes {"score": number in [0, 1]}.
#include <curl/curl.h>

#include <memory>

#include "base/error.h"
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

constexpr size_t kMaxAnswerBytes = 64u << 10;
constexpr double kSlackSeconds = 2;  // for curl to notice its own limit on a busy machine

struct Handle {
  CURL* easy = curl_easy_init();
  curl_slist* headers = nullptr;
  Handle() = default;
  ~Handle() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

size_t on_bytes(char* data, size_t size, size_t count, void* context) {
  auto& body = *static_cast<std::string*>(context);
  if (body.size() + size * count > kMaxAnswerBytes) return 0;
  body.append(data, size * count);
  return size * count;
}

class HttpReward : public Reward {
 public:
  HttpReward(std::string url, double seconds) : url_(std::move(url)), seconds_(seconds) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ready != CURLE_OK)
      throw_error(ErrorCode::kIo, "[reward] http: libcurl cannot start: {}", curl_easy_strerror(ready));
  }

  bool immediate() const override { return false; }
  double most_seconds() const override { return seconds_ + kSlackSeconds; }

  double score(const Completion& c) const override {
    const base::Json request = {{"task", c.problem->task},
                                {"question", c.problem->question},
                                {"reference", c.problem->answer},
                                {"facts", c.problem->facts},
                                {"completion", c.text},
                                {"reasoning", c.parsed.reasoning},
                                {"answer", c.parsed.answered ? base::Json(c.parsed.answer) : base::Json()},
                                {"tokens", c.tokens},
                                {"finished", c.finished}};
    const std::string answer = post(base::dump_json(request));
    const base::Json json = base::parse_json(answer, "reward http: " + url_);
    if (!json.is_object() || !json.contains("score") || !json["score"].is_number())
      throw_error(ErrorCode::kIo, "[reward] http: {}: the answer has no number \"score\": {}", url_,
                  answer.substr(0, 200));
    return json["score"].get<double>();
  }

 private:
  std::string post(const std::string& body) const {
    Handle handle;
    if (handle.easy == nullptr) throw_error(ErrorCode::kResource, "[reward] http: libcurl gives no handle");
    std::string answer;
    char message[CURL_ERROR_SIZE] = "";
    handle.headers = curl_slist_append(nullptr, "Content-Type: application/json");
    handle.headers = curl_slist_append(handle.headers, "Expect:");
    curl_easy_setopt(handle.easy, CURLOPT_URL, url_.c_str());
    curl_easy_setopt(handle.easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle.easy, CURLOPT_HTTPHEADER, handle.headers);
    curl_easy_setopt(handle.easy, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(handle.easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle.easy, CURLOPT_TIMEOUT_MS, static_cast<long>(seconds_ * 1000));
    curl_easy_setopt(handle.easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle.easy, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    curl_easy_setopt(handle.easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(handle.easy, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(handle.easy, CURLOPT_ERRORBUFFER, message);
    const CURLcode code = curl_easy_perform(handle.easy);
    if (code == CURLE_WRITE_ERROR)
      throw_error(ErrorCode::kIo, "[reward] http: {}: the answer is longer than {} bytes", url_,
                  kMaxAnswerBytes);
    if (code != CURLE_OK)
      throw_error(ErrorCode::kIo, "[reward] http: {}: {}", url_,
                  *message != 0 ? message : curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(handle.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
      throw_error(ErrorCode::kIo, "[reward] http: {}: status {}: {}", url_, status, answer.substr(0, 200));
    return answer;
  }

  std::string url_;
  double seconds_;
};

}  // namespace

std::unique_ptr<Reward> make_http_reward(const base::Json& options) {
  OptionReader reader("http", options);
  const std::string url = reader.text("url", "");
  const double seconds = reader.number("seconds", 10, 0.01, 3600);
  reader.reject_unknown();
  if (!url.starts_with("http://") && !url.starts_with("https://"))
    reader.fail("url", "'" + url + "' is no http:// or https:// address");
  return std::make_unique<HttpReward>(url, seconds);
}

}  // namespace hadal::posttrain
