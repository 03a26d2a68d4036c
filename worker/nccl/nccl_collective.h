// Collective operations between GPUs, on NCCL.
//
// Buffers may lie in device memory, where they are used in place, or in host memory, when they go
// through a staging buffer on the device. An operation returns when its result is there: whoever
// wants to go on meanwhile calls from a thread of its own (model/gradient_reducer.h). The order of
// work on other streams is the caller's: a buffer's writers must be done.
//
// Rank 0 draws a unique id for each generation and leaves it in the rendezvous. No call of NCCL
// blocks: each is polled up to the deadline. NCCL sums in an order that depends on the world and
// its links alone, and all ranks receive the same bits.
//
// Failures: an error that NCCL reports, on this rank or of another one, and a passed deadline abort
// the communicator; Abort does so from any thread, also while a call is being polled. Ranks that
// reach each other by NVLink may see no error when one dies; the coordinator's word (Abort) or the
// deadline ends their wait.
#ifndef NAVIT_WORKER_NCCL_NCCL_COLLECTIVE_H_
#define NAVIT_WORKER_NCCL_NCCL_COLLECTIVE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "worker/communicator.h"
#include "worker/device/device.h"
#include "worker/nccl/nccl_api.h"

namespace navit {

struct NcclOptions {
  int rank = 0;
  int world_size = 1;
  // Of one operation, and of Connect.
  absl::Duration timeout = absl::Seconds(30);
};

class NcclCollective : public Communicator {
 public:
  // `nccl` and `device` must outlive this object.
  NcclCollective(const NcclOptions& options, NcclApi* nccl, Device* device);
  // A communicator that never failed completes what was queued.
  ~NcclCollective() override;

  // ResourceExhausted: no device memory. Internal: an error of CUDA or of NCCL's own.
  absl::Status Connect(RendezvousStore* store) override;

  int rank() const override { return options_.rank; }
  int world_size() const override { return options_.world_size; }
  // Aborted after Abort; DeadlineExceeded; Unavailable: another rank or the network failed.
  // FailedPrecondition: counts do not fit the buffers.
  absl::Status AllReduceSum(absl::Span<float> values) override;
  absl::Status AllReduceSum(absl::Span<double> values) override;
  absl::Status AllReduceMax(absl::Span<float> values) override;
  absl::Status AllGather(absl::Span<const float> mine, absl::Span<const size_t> counts,
                         absl::Span<float> all) override;
  absl::Status AllGather(absl::Span<const uint64_t> mine, absl::Span<const size_t> counts,
                         absl::Span<uint64_t> all) override;
  absl::Status ReduceScatter(absl::Span<const float> partial, absl::Span<const size_t> counts,
                             absl::Span<float> mine) override;
  absl::Status Broadcast(absl::Span<char> bytes, int root) override;
  void Abort() override;

  CollectiveTraffic traffic() const override { return traffic_; }

 private:
  // A call of NCCL on the communicator.
  using Call = std::function<NcclResult(NcclComm)>;

  // Deadlines are times of the steady clock.
  absl::Status Init(const NcclUniqueId& id, absl::Duration deadline);
  // Makes the call and polls until the communicator has taken it.
  absl::Status Run(absl::string_view name, const Call& call, absl::Duration deadline);
  // Runs the call, then polls until the stream has done it and all that was queued before.
  absl::Status RunToEnd(absl::string_view name, const Call& call);
  absl::Status AwaitReady(absl::string_view name, NcclResult result, absl::Duration deadline);
  absl::Status AwaitStream(absl::string_view name, absl::Duration deadline);
  // Moves bytes between host and staging buffer, and waits for what comes to the host.
  absl::Status CopyIn(size_t offset, const void* from, size_t bytes);
  absl::Status CopyOut(void* to, size_t offset, size_t bytes);
  // Aborts the communicator and keeps the status for all later calls; returns the first such.
  absl::Status Break(const absl::Status& status);
  absl::Status Break(absl::string_view name, NcclResult result);
  // "NAME on rank R of W".
  std::string Who(absl::string_view name) const;
  absl::Status TimedOut(absl::string_view name) const;
  absl::Status broken() const;

  // Bytes on the device or in the host's memory, in pieces that fit the staging buffer: `call` gets
  // where a piece lies on the device and how many bytes it has.
  absl::Status InPlace(absl::string_view name, void* data, size_t bytes,
                       const std::function<NcclResult(NcclComm, void*, size_t)>& call);
  template <typename T>
  absl::Status AllReduce(absl::Span<T> values, NcclOp op);
  template <typename T>
  absl::Status Gather(absl::Span<const T> mine, absl::Span<const size_t> counts, absl::Span<T> all);
  // Starts an operation: makes the device this thread's, and the staging buffer so large.
  absl::Status Start(size_t staging_bytes);
  // What one pass of so many bytes around a ring makes this rank send and receive.
  uint64_t RingBytes(size_t bytes) const;
  absl::Status CheckCounts(absl::Span<const size_t> counts, size_t mine, size_t all) const;

  const NcclOptions options_;
  NcclApi* const nccl_;
  Device* const device_;

  // Of the calling thread.
  DeviceStream stream_ = nullptr;
  DeviceBuffer staging_;
  CollectiveTraffic traffic_;

  mutable absl::Mutex mutex_;
  // Null before Connect and after the abort. Calls hold the mutex, none of them blocks.
  NcclComm comm_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // The first failure; OK while there was none.
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_WORKER_NCCL_NCCL_COLLECTIVE_H_
