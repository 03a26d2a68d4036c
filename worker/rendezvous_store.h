// Where the ranks of one generation leave and find each other's addresses.
#ifndef NAVIT_WORKER_RENDEZVOUS_STORE_H_
#define NAVIT_WORKER_RENDEZVOUS_STORE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace navit {

// Keys are seen by the ranks of one generation alone: a new generation starts with none.
// Thread-safe.
class RendezvousStore {
 public:
  virtual ~RendezvousStore() = default;
  virtual absl::Status Set(const std::string& key, const std::string& value) = 0;
  // Waits until all keys exist; values in the order of the keys. DeadlineExceeded names what is
  // missing; Cancelled after Cancel.
  virtual absl::StatusOr<std::vector<std::string>> Get(const std::vector<std::string>& keys,
                                                       absl::Duration timeout) = 0;
  // Ends a waiting Get, and every later one.
  virtual void Cancel() = 0;
};

}  // namespace navit

#endif  // NAVIT_WORKER_RENDEZVOUS_STORE_H_
