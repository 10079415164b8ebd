#pragma once

#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"

namespace modelfs::fetch {

/// The Authorization header for a web server, from a file that somebody may replace at any time:
/// "user:password" (basic) or a token (bearer). The file is looked at for each request and read
/// when it has changed; a small local file is meant, such as a mounted secret.
///
/// Threads: any. Lock order: `mutex_` is a leaf.
class HttpAuth {
 public:
  struct Options {
    std::string basic_file;   ///< Holds "user:password"; empty: none.
    std::string bearer_file;  ///< Holds a token; empty: none. Not both.
  };
  explicit HttpAuth(Options options) : options_(std::move(options)) {}

  /// "Basic ...", "Bearer ...", or "" where no file is named.
  /// Errors: kDenied: the file cannot be read or holds nothing of the kind; the text names it.
  Result<std::string> Header() EXCLUDES(mutex_);
  /// Who that is, while passwords and tokens change: "anonymous", "basic:<user>",
  /// "bearer:<file>". Reads the file for the user's name.
  std::string Principal() EXCLUDES(mutex_);
  /// For messages: the file's name, or "" without one.
  const std::string& file() const {
    return options_.basic_file.empty() ? options_.bearer_file : options_.basic_file;
  }

 private:
  struct Stamp {
    std::int64_t seconds = -1;
    std::int64_t nanoseconds = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  Result<std::string> Read() const;

  const Options options_;
  Mutex mutex_;
  Stamp stamp_ GUARDED_BY(mutex_);
  std::string header_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fetch
