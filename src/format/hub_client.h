// The Hugging Face hub's protocol: what a repository holds at a revision, and where its files are.
//   GET {endpoint}/api/models/{owner/name}/revision/{revision}?blobs=true   {"sha": commit, "siblings":
//   [...]} GET {endpoint}/api/models/{owner/name}/tree/{commit}?recursive=true     [{type, path, size, oid,
//   lfs: {oid, size}}]
//       in pages: Link: <url>; rel="next"
//   GET {endpoint}/{owner/name}/resolve/{commit}/{path}                     the bytes, often by a redirect
// Reference: huggingface.co/docs/hub/api and the huggingface_hub library's file_download.py.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "format/hub_http.h"
#include "format/hub_paths.h"

namespace hadal::format {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token;           // empty: none
  double stall_seconds = 30;   // a connection so long without bytes is given up and taken up again
  int retries = 5;             // in a row without progress, after the first attempt
  double backoff_seconds = 1;  // before the first of them; doubles up to max_backoff_seconds
  double max_backoff_seconds = 30;
  std::function<bool()> stopped;                   // Ctrl-C; asked often and from several threads
  std::function<void(const std::string&)> notice;  // one line about a retry; from several threads

  // HF_ENDPOINT; HF_TOKEN, else the token file of the hub's own tools (HF_TOKEN_PATH, HF_HOME/token,
  // XDG_CACHE_HOME/huggingface/token, ~/.cache/huggingface/token). Throws Error{kBadInput} for an endpoint
  // that is no http(s) URL and for a token that cannot stand in a header.
  static HubOptions from_environment();
};

struct HubListing {
  std::string repository;      // "owner/name"
  std::string commit;          // what the revision meant: every file is fetched from it
  std::vector<HubFile> files;  // every path is_safe_path and unlike the others
};

// "owner/name" or "name", letters, digits, '-', '_', '.'. Throws Error{kBadInput} otherwise.
void check_repository_name(const std::string& repository);

// Throws Error{kBadInput} when the hub says no (401, 403, 404: the message says what to do), lists a path
// that is not safe, or answers with something else than a list; Error{kIo} when it cannot be reached after
// retries; Error{kCancelled} when options.stopped() says so.
HubListing list_repository(const HubOptions& options, const std::string& repository,
                           const std::string& revision);

// Where the bytes of a file are asked for.
std::string resolve_url(const HubOptions& options, const std::string& repository, const std::string& commit,
                        const std::string& path);

// ---- shared with hub_download ----

HttpOptions http_options(const HubOptions& options);

// The next wait of a row of failures: attempt 0, 1, ...; longer when the server asks for it (Retry-After, at
// most ten minutes). Deterministic up to 25 % of jitter.
double backoff_wait(const HubOptions& options, int attempt, double retry_after);

// Sleeps, unless options.stopped() turns true: then throws Error{kCancelled}.
void sleep_unless_stopped(const HubOptions& options, double seconds);

// Whether an answer with this head may be better next time: 408, 425, 429, 5xx, or a refusal by the storage
// host (a signed address that has expired).
bool is_worth_a_retry(const HttpHead& head);

// Throws the Error that a refused request means, in words that say what to do. `what`: "owner/name" or
// "owner/name: file".
[[noreturn]] void throw_refusal(const HubOptions& options, const std::string& repository,
                                const std::string& what, const HttpHead& head);

}  // namespace hadal::format
