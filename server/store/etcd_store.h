// The coordinator's durable state in etcd v3: the same events as in SQLite, replicated, written by
// one leader at a time.
//
// Keys below PREFIX (schema_version 1; SEQ: 16 hexadecimal digits, grows by one per event; CHECK:
// RecordCheck, 8 bytes little-endian):
//   leader                  who writes (etcd_leadership.h)
//   schema_version          decimal
//   last                    "SEQ COUNT": of the newest event, and how many are kept
//   events/JOB/SEQ          CHECK over (seq, job, body), then body: a serialised Event, a
//                           ManifestFrozen without its manifest
//   manifests/HASH/PIECE    a manifest, stored once, cut to what a request of etcd takes; PIECE: 8
//                           hexadecimal digits; CHECK over (piece, hash, bytes), then bytes; the
//                           last piece is shorter than the others, possibly empty
//
// Every write is one transaction that compares the create_revision of `leader`: a coordinator that
// was stopped past its lease and goes on writes nothing, whatever it believes. An event's also
// compares `last`, so that one whose answer was lost can be sent again: `last` tells whether it was
// done. A manifest's pieces are written before the event that names it; without that event they are
// garbage, which the next freeze of the same data writes again.
#ifndef NAVIT_SERVER_STORE_ETCD_STORE_H_
#define NAVIT_SERVER_STORE_ETCD_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/events.pb.h"
#include "server/core/event_store.h"
#include "server/store/etcd_leadership.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace etcdserverpb {
class RangeResponse;
class TxnRequest;
}  // namespace etcdserverpb

namespace navit {

class EtcdClient;

struct EtcdStoreOptions {
  // Ends without a slash. Fleets that share an etcd have a prefix each.
  std::string prefix;
  // How long one call may take while etcd is away; the caller is held up so long.
  absl::Duration timeout = absl::Seconds(5);
  // Called after every commit with what it took.
  std::function<void(absl::Duration)> on_commit;
  // Called when a write was refused because another coordinator leads.
  std::function<void()> on_deposed;
};

// Thread-compatible, as EventStore.
class EtcdStore : public EventStore {
 public:
  static constexpr int kSchemaVersion = 1;
  // etcd's own defaults are 1.5 MiB and 128 operations; the rest is for keys and comparisons.
  static constexpr size_t kMaxTransactionBytes = size_t{1} << 20;
  static constexpr int kMaxTransactionOperations = 120;
  static constexpr int64_t kMaxMessageBytes = int64_t{512} << 20;

  // The channel takes messages of kMaxMessageBytes. FAILED_PRECONDITION: written by a newer version
  // (names both). ABORTED: another coordinator leads. DATA_LOSS: half of the store is there.
  static absl::StatusOr<std::unique_ptr<EtcdStore>> Open(std::shared_ptr<grpc::Channel> channel,
                                                         EtcdStoreOptions options,
                                                         LeaderKey leader);
  ~EtcdStore() override;

  // DATA_LOSS: an event does not match its checksum, one is missing, or a manifest is gone.
  absl::Status Load(const std::function<absl::Status(const v1::Event&)>& apply) override;

  // INVALID_ARGUMENT: the events exceed what one transaction of etcd takes. ABORTED: another
  // coordinator leads. After any error but the first every later Append is
  // FAILED_PRECONDITION and names that error.
  absl::Status Append(absl::Span<const v1::Event> events) override;

 private:
  // What is kept of a job.
  struct JobRecords {
    uint64_t events = 0;
    std::set<std::string> manifests;
  };
  // The store's state after a transaction.
  struct Change {
    uint64_t last_seq = 0;
    uint64_t count = 0;
    std::map<std::string, JobRecords> jobs;
    // Manifests that lost a job.
    std::set<std::string> released;
  };

  EtcdStore(EtcdStoreOptions options, std::unique_ptr<EtcdClient> client, LeaderKey leader);

  absl::Status CheckSchema();
  absl::Status LoadManifest(v1::ManifestFrozen* frozen) const;
  absl::Status Write(absl::Span<const v1::Event> events, const etcdserverpb::TxnRequest& txn,
                     const Change& change);
  absl::Status StoreManifest(const v1::ManifestFrozen& frozen);
  etcdserverpb::TxnRequest NewTransaction() const;
  Change AddEvents(absl::Span<const v1::Event> events, etcdserverpb::TxnRequest* txn) const;
  bool ManifestNamed(const std::string& hash, const Change& change) const;
  // After a transaction whose comparison failed; `leader`: the key as it is. OK: we lead.
  absl::Status CheckLeader(const etcdserverpb::RangeResponse& leader) const;
  absl::Status Damaged(absl::string_view what) const;
  std::string Key(absl::string_view name) const;

  const EtcdStoreOptions options_;
  const std::unique_ptr<EtcdClient> client_;
  const LeaderKey leader_;
  // Of the stored log.
  uint64_t last_seq_ = 0;
  uint64_t count_ = 0;
  std::map<std::string, JobRecords> jobs_;
  absl::Status write_error_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_ETCD_STORE_H_
