// A RendezvousStore for ranks that are threads of one process, for tests.
#ifndef NAVIT_WORKER_RENDEZVOUS_MEMORY_H_
#define NAVIT_WORKER_RENDEZVOUS_MEMORY_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "worker/rendezvous_store.h"

namespace navit {

class MemoryRendezvousStore : public RendezvousStore {
 public:
  absl::Status Set(const std::string& key, const std::string& value) override {
    absl::MutexLock lock(&mutex_);
    values_[key] = value;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> Get(const std::vector<std::string>& keys,
                                               absl::Duration timeout) override {
    absl::MutexLock lock(&mutex_);
    const absl::Time deadline = absl::Now() + timeout;
    std::vector<std::string> values;
    for (const std::string& key : keys) {
      auto settled = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return cancelled_ || values_.count(key) > 0;
      };
      if (!mutex_.AwaitWithDeadline(absl::Condition(&settled), deadline)) {
        return absl::DeadlineExceededError(absl::StrCat("waited for key ", key));
      }
      if (cancelled_) return absl::CancelledError("rendezvous cancelled");
      values.push_back(values_[key]);
    }
    return values;
  }

  void Cancel() override {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::string> values_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace navit

#endif  // NAVIT_WORKER_RENDEZVOUS_MEMORY_H_
