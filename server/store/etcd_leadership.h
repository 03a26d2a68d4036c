// Who among several coordinators leads: the holder of a key of etcd, which lives as long as the
// holder keeps a lease alive.
#ifndef NAVIT_SERVER_STORE_ETCD_LEADERSHIP_H_
#define NAVIT_SERVER_STORE_ETCD_LEADERSHIP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/stop_flag.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace navit {

// A leadership as writes compare it. A later one has a larger create_revision, so that a write that
// compares it in its own transaction cannot come from an earlier leader, however late.
struct LeaderKey {
  std::string key;
  int64_t create_revision = 0;
};

struct LeadershipOptions {
  std::string key;
  // What the key says of its holder: the address that clients may dial.
  std::string holder;
  // How long a leader that says nothing stays leader; whole seconds, at least 2.
  absl::Duration ttl = absl::Seconds(10);
};

class EtcdLeadership {
 public:
  // What stands in the way of leading: the holder of the key, or an error of etcd.
  struct Obstacle {
    std::string leader;
    // Of `leader`'s key; 0 without one.
    int64_t create_revision = 0;
    absl::Status error;
  };

  // Waits until this process leads, or `stop` (CANCELLED). Errors of etcd are waited for.
  // `waiting` is called on this thread whenever the obstacle is another one.
  static absl::StatusOr<std::unique_ptr<EtcdLeadership>> Campaign(
      std::shared_ptr<grpc::Channel> channel, LeadershipOptions options, StopFlag* stop,
      const std::function<void(const Obstacle&)>& waiting);
  // Gives the key up, so that the next leader need not wait for the lease's end.
  ~EtcdLeadership();

  // Calls `on_lost` once with ABORTED, on another thread, when the lease was not renewed in time by
  // this process's steady clock, or etcd knows it no more. A courtesy: what keeps a leader that was
  // stopped from writing is the comparison of LeaderKey.
  void Watch(std::function<void(const absl::Status&)> on_lost);

  const LeaderKey& key() const;

 private:
  class Impl;
  explicit EtcdLeadership(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_ETCD_LEADERSHIP_H_
