// The calls of one rank in one generation to the coordinator. All can be cancelled at once, and all
// outlive an absence of the coordinator up to a grace period.
#ifndef NAVIT_WORKER_RUN_CLIENT_H_
#define NAVIT_WORKER_RUN_CLIENT_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/fleet.pb.h"
#include "worker/rendezvous_store.h"

namespace grpc {
class Channel;
class ClientContext;
class Status;
}  // namespace grpc

namespace navit {

struct RunClientOptions {
  v1::WorkerId worker;
  std::string job;
  uint64_t generation = 0;
  // How long the coordinator may be away before a call gives up.
  absl::Duration grace = absl::Seconds(600);
  // Of one attempt of a unary call.
  absl::Duration attempt_timeout = absl::Seconds(10);
};

// Thread-safe. Calls return Cancelled after Cancel. FailedPrecondition: the generation is over;
// Unauthenticated: a newer process has our name. Unavailable: the coordinator was away for longer
// than the grace.
class RunClient : public RendezvousStore {
 public:
  RunClient(std::shared_ptr<grpc::Channel> channel, RunClientOptions options);
  ~RunClient() override;

  const RunClientOptions& options() const { return options_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  absl::Status Set(const std::string& key, const std::string& value) override;
  absl::StatusOr<std::vector<std::string>> Get(const std::vector<std::string>& keys,
                                               absl::Duration timeout) override;
  void Cancel() override;

  // Durable when OK.
  absl::Status ReportSteps(const std::vector<v1::StepReport>& steps);
  // Waits until the coordinator has recorded the step. Returns the folders to remove.
  absl::StatusOr<std::vector<std::string>> CommitCheckpoint(uint64_t step,
                                                            const std::string& folder,
                                                            uint64_t bytes);
  // `event` needs its oneof and step only.
  absl::Status ReportEvent(v1::ReportEventRequest event);
  // Folders of the job's recorded checkpoints.
  absl::StatusOr<std::vector<std::string>> RecordedCheckpoints();

  bool cancelled() const;
  // Sleeps, or returns false at once when cancelled.
  bool Wait(absl::Duration duration) const;

  // Makes `context` one that Cancel cancels, as long as this object lives; must not outlive it.
  class CancellableCall {
   public:
    CancellableCall(RunClient* client, grpc::ClientContext* context);
    ~CancellableCall();
    CancellableCall(const CancellableCall&) = delete;
    CancellableCall& operator=(const CancellableCall&) = delete;

   private:
    RunClient* const client_;
    grpc::ClientContext* const context_;
  };

 private:
  // Repeats `attempt` until it ends with something other than a transient error or `give_up` (from
  // now) is over.
  absl::Status Call(const char* name, absl::Duration give_up,
                    const std::function<grpc::Status(grpc::ClientContext*)>& attempt);

  const std::shared_ptr<grpc::Channel> channel_;
  const RunClientOptions options_;

  mutable std::mutex mutex_;
  mutable std::condition_variable cancel_signal_;
  bool cancelled_ = false;
  std::set<grpc::ClientContext*> calls_;
};

// Whether the same call may succeed later: the coordinator is away, starting, or does not know this
// worker again yet.
bool IsTransientCallError(const absl::Status& status);

}  // namespace navit

#endif  // NAVIT_WORKER_RUN_CLIENT_H_
