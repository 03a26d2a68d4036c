// Leases on pieces of work, in memory. A lease epoch carries the coordinator's incarnation in its
// high half, so that a restart voids all leases of before.
#ifndef NAVIT_SERVER_CORE_LEASES_H_
#define NAVIT_SERVER_CORE_LEASES_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "proto/pack.pb.h"

namespace navit {

enum class WorkKind { kExpandShards, kIndexShard, kWindow, kAudit, kProbe };

// What a lease is on.
struct WorkItem {
  // Empty: a probe is of no job.
  std::string job;
  WorkKind kind = WorkKind::kExpandShards;
  v1::Split split = v1::SPLIT_TRAIN;
  // Window; shard number; audit chunk; probe.
  uint64_t id = 0;
  // Audits: which one.
  uint64_t audit = 0;
  // Windows: a second lease, beside that of a packer that is late.
  bool hedge = false;

  friend bool operator<(const WorkItem& a, const WorkItem& b) {
    return std::tie(a.job, a.kind, a.split, a.id, a.audit, a.hedge) <
           std::tie(b.job, b.kind, b.split, b.id, b.audit, b.hedge);
  }
};

struct Lease {
  uint64_t epoch = 0;
  WorkItem item;
  std::string holder;
  double ttl_seconds = 0;
  double granted = 0;
  // On the coordinator's steady clock.
  double expires = 0;
  // The holder has reported its result; a window's lease stays while its packs are wanted.
  bool finished = false;
};

// At most one lease per item.
class LeaseTable {
 public:
  // Epochs start above incarnation << 32.
  void SetIncarnation(uint64_t incarnation) { next_epoch_ = (incarnation << 32) + 1; }

  // Requires that `item` is not leased.
  const Lease& Grant(const WorkItem& item, const std::string& holder, double ttl_seconds,
                     double now);
  // nullptr: void (expired, released, or of another incarnation of the coordinator).
  Lease* Find(uint64_t epoch);
  const Lease* Find(uint64_t epoch) const;
  const Lease* FindItem(const WorkItem& item) const;
  // Prolongs the lease by its TTL if `holder` has it. False: it does not.
  bool Renew(uint64_t epoch, const std::string& holder, double now);
  void Release(uint64_t epoch);
  // Epochs of the leases that ran out before `now`, of those that `holder` has, of a job.
  std::vector<uint64_t> Expired(double now) const;
  std::vector<uint64_t> HeldBy(const std::string& holder) const;
  std::vector<uint64_t> OfJob(const std::string& job) const;
  const std::map<uint64_t, Lease>& leases() const { return leases_; }

 private:
  uint64_t next_epoch_ = 1;
  std::map<uint64_t, Lease> leases_;
  std::map<WorkItem, uint64_t> by_item_;
  std::map<std::string, std::set<uint64_t>> by_holder_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_LEASES_H_
