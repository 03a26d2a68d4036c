// The holder's side of leases: which ones this packer holds, until when, and the window of each.
#ifndef NAVIT_PACKER_AGENT_LEASE_BOOK_H_
#define NAVIT_PACKER_AGENT_LEASE_BOOK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "packer/agent/data_plane.h"

namespace navit {

// A planned window whose packs may be granted.
struct HeldWindow {
  std::string job;
  std::shared_ptr<const JobPacks> packs;
  WindowPlan plan;
};

// Times are steady. A lease lasts its TTL from before the request that got or renewed it, so that it
// ends here no later than at the coordinator, unless a report was lost: then the coordinator's lease
// epoch is what keeps a late pack out. Thread-safe.
class LeaseBook {
 public:
  void Add(uint64_t epoch, absl::Duration ttl, absl::Duration requested_at);
  // The lease's window was planned. False: the lease is no longer held.
  bool AttachWindow(uint64_t epoch, std::shared_ptr<const HeldWindow> window, absl::Duration now);
  // A report that named `epochs` was sent at `sent_at`.
  void Renew(const std::vector<uint64_t>& epochs, absl::Duration sent_at);

  bool Holds(uint64_t epoch, absl::Duration now) const;
  // nullptr: not held, or not planned.
  std::shared_ptr<const HeldWindow> Window(uint64_t epoch, absl::Duration now) const;
  // The epochs held, ascending; leases that ran out are dropped and put into *expired.
  std::vector<uint64_t> Held(absl::Duration now, std::vector<uint64_t>* expired);

  // Notes that a pack of the lease was made. True: it had been made before.
  bool MarkMade(uint64_t epoch, uint32_t index);
  void Remove(uint64_t epoch);
  // The coordinator restarted: every lease is void.
  void Clear();

 private:
  struct Lease {
    absl::Duration ttl;
    absl::Duration valid_until;
    std::shared_ptr<const HeldWindow> window;
    absl::flat_hash_set<uint32_t> made;
  };

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Lease> leases_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_LEASE_BOOK_H_
