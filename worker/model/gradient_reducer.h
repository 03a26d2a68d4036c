// Sums the gradients of all ranks in buckets, on a thread of its own, while the backward pass goes
// on.
#ifndef NAVIT_WORKER_MODEL_GRADIENT_REDUCER_H_
#define NAVIT_WORKER_MODEL_GRADIENT_REDUCER_H_

#include <cstddef>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "worker/collective.h"

namespace navit {

// One all-reduce of `gradients`, in buckets of `bucket_floats` from the front (the last one may be
// shorter): the same cut on every rank, whatever the timing; none where there is one rank. From
// construction to the return of Finish() only this class may use the collective.
class GradientReducer {
 public:
  // `gradients` and `collective` must outlive this object.
  GradientReducer(absl::Span<float> gradients, size_t bucket_floats, Collective* collective);
  // Waits for the thread; buckets that are not complete yet are not sent.
  ~GradientReducer();

  // Whether there is anybody to sum with, so that it matters when gradients are complete.
  bool has_peers() const { return thread_.joinable(); }

  // The first `count` gradients are final on this rank. Counts only grow.
  void Complete(size_t count);

  // All gradients are final; waits until they are summed over all ranks.
  absl::Status Finish();

 private:
  void Loop();

  const absl::Span<float> gradients_;
  const size_t bucket_floats_;
  Collective* const collective_;
  absl::Mutex mutex_;
  size_t complete_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_GRADIENT_REDUCER_H_
