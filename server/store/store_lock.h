// FILE-lock: at most one process has a state file open, and the file's seal.
#ifndef NAVIT_SERVER_STORE_STORE_LOCK_H_
#define NAVIT_SERVER_STORE_STORE_LOCK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace navit {

// The seal is written without a sync: a crash of the process keeps it, a crash of the machine may
// keep an older one. It is never newer than what the store made durable before.
class StoreLock {
 public:
  // UNAVAILABLE: another process (or another StoreLock of this one) holds it.
  static absl::StatusOr<std::unique_ptr<StoreLock>> Take(const std::string& state_path);
  ~StoreLock();
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

  // Seq of the last acknowledged event; nullopt: never sealed, or not legible.
  std::optional<uint64_t> sealed_seq() const { return sealed_seq_; }
  absl::Status Seal(uint64_t seq);
  const std::string& path() const { return path_; }

 private:
  StoreLock(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  const int fd_;
  std::optional<uint64_t> sealed_seq_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_STORE_LOCK_H_
