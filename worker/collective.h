// The collective operations of one generation of ranks. Implementations: Gloo between processes,
// and ranks as threads of one process for tests.
#ifndef NAVIT_WORKER_COLLECTIVE_H_
#define NAVIT_WORKER_COLLECTIVE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace navit {

// All ranks call the same operations in the same order, from one thread each. A failure (a rank
// died, the deadline passed, Abort) breaks the communicator for good: every later call fails, and
// the contents of the buffers of the failed call are undefined and must not be used.
//
// Results do not depend on timing: for a fixed world size every operation reduces in a fixed order,
// and all ranks receive the same bits.
class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int world_size() const = 0;

  // In place, element by element, over ranks.
  virtual absl::Status AllReduceSum(absl::Span<float> values) = 0;
  virtual absl::Status AllReduceSum(absl::Span<double> values) = 0;
  virtual absl::Status AllReduceMax(absl::Span<float> values) = 0;

  // Concatenates the ranks' rows in rank order. `counts[r]` elements come from rank r; `mine` has
  // counts[rank()] elements, `all` has the sum. Counts may be 0.
  virtual absl::Status AllGather(absl::Span<const float> mine, absl::Span<const size_t> counts,
                                 absl::Span<float> all) = 0;
  virtual absl::Status AllGather(absl::Span<const uint64_t> mine, absl::Span<const size_t> counts,
                                 absl::Span<uint64_t> all) = 0;

  // Sum over ranks of `partial`, of which this rank receives its own part: `partial` is the
  // concatenation in rank order of blocks of counts[r] elements, `mine` gets block rank().
  virtual absl::Status ReduceScatter(absl::Span<const float> partial,
                                     absl::Span<const size_t> counts, absl::Span<float> mine) = 0;

  // The bytes of `root` on every rank.
  virtual absl::Status Broadcast(absl::Span<char> bytes, int root) = 0;

  // Fails the pending and all later calls on this rank; callable from any thread.
  virtual void Abort() = 0;
};

}  // namespace navit

#endif  // NAVIT_WORKER_COLLECTIVE_H_
