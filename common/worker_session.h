// A worker's tie to the coordinator: registration, the heartbeat stream, reconnection. The same for
// packers and trainers.
//
//   1. Register, repeated with backoff.
//   2. Open Heartbeat; send the newest report at once, on every change and every interval; hand
//      every directive to the delegate.
//   3. When the stream breaks, or nothing came for three intervals: open it anew (2).
//   4. When the coordinator does not know us (NOT_FOUND), or its incarnation is not the one that we
//      registered with: Register again (1).
//   5. End when fenced, when told to stop, or when the coordinator was away for `grace`.
#ifndef NAVIT_COMMON_WORKER_SESSION_H_
#define NAVIT_COMMON_WORKER_SESSION_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/grpc_channel.h"
#include "proto/fleet.pb.h"

namespace navit {

struct WorkerSessionOptions {
  // "host:port" of the coordinator.
  std::string coordinator;
  // The session has a connection of its own, whatever own_connection says.
  ChannelOptions channel;
  // Sent at every registration; `worker` identifies every report.
  v1::RegisterRequest registration;
  // How long the coordinator may be away (coordinator_grace_seconds).
  absl::Duration grace = absl::Seconds(600);
  absl::Duration register_timeout = absl::Seconds(10);
  // Besides three heartbeat intervals: how long a stream may be silent before it is opened anew.
  absl::Duration min_silence = absl::Seconds(5);
  BackoffOptions backoff;
  Clock* clock = Clock::Real();
};

// Called from the session's threads, never two calls at a time. Calls must return soon (hand work
// to threads of your own) and must not call Stop.
class WorkerSessionDelegate {
 public:
  virtual ~WorkerSessionDelegate() = default;
  // Registered, first or again. A coordinator incarnation other than the last one voids all leases.
  virtual void OnRegistered(const v1::RegisterReply& /*reply*/) {}
  // The whole current will of the coordinator. Comes on every change and every interval: the same
  // directive comes many times (same coordinator_incarnation and version). Never one of an
  // incarnation other than that of the last OnRegistered, never a fenced one.
  virtual void OnDirective(const v1::Directive& directive) = 0;
  // The whole current truth of this worker; asked for just before each sending. `worker`
  // and `sequence` are filled in by the session.
  virtual v1::WorkerReport BuildReport() = 0;
  // `report` was handed to the stream. `sent_at`: steady time from before it was built.
  virtual void OnReportSent(const v1::WorkerReport& /*report*/, absl::Duration /*sent_at*/) {}
  // Last call, not after Stop. Unauthenticated: fenced, a newer process has our name; exit.
  // Unavailable: the coordinator was away for longer than the grace. Other codes: the coordinator
  // refuses this worker (its message says why).
  virtual void OnEnded(const absl::Status& status) = 0;
};

class WorkerSession {
 public:
  // Starts at once; `delegate` must outlive the session. InvalidArgument or NotFound: TLS files.
  static absl::StatusOr<std::unique_ptr<WorkerSession>> Start(WorkerSessionOptions options,
                                                              WorkerSessionDelegate* delegate);
  // As Stop.
  ~WorkerSession();

  // The report changed: send one now. Thread-safe, never blocks.
  void ReportChanged();
  // Cancels the stream and waits for the session's threads. No callback comes afterwards.
  void Stop();

 private:
  class Impl;
  explicit WorkerSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_WORKER_SESSION_H_
