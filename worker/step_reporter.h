// Tells the coordinator of applied steps, on a thread of its own, so that no step waits for it.
#ifndef NAVIT_WORKER_STEP_REPORTER_H_
#define NAVIT_WORKER_STEP_REPORTER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "worker/protocol_cell.h"
#include "worker/run_client.h"

namespace navit {

// Of one generation. Takes the reports that the protocol holds, and acknowledges them there.
class StepReporter {
 public:
  // Starts. `cell` and `client` must outlive this object. `on_failure` is called on its thread, at
  // most once, when reports cannot be delivered any more and `client` was not cancelled; then the
  // waits of `cell` are woken.
  StepReporter(uint64_t generation, ProtocolCell* cell, RunClient* client,
               std::function<void()> on_failure);
  ~StepReporter();

  // Ends it after the call at hand, whatever is left to report; more than once is fine.
  void Stop();

  // Why reports could not be delivered; Ok as long as they can.
  absl::Status status() const;

 private:
  void Loop();

  const uint64_t generation_;
  ProtocolCell* const cell_;
  RunClient* const client_;
  const std::function<void()> on_failure_;
  std::atomic<bool> stopped_{false};
  mutable absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_STEP_REPORTER_H_
