// CUDA's own memory pool (cudaMemPool_t) as a DeviceArena: one pool for a device, which gives
// nothing back to the driver before Trim.
//
// Why the pool and not blocks of cudaMalloc with lists of our own: it keeps what was returned for
// any size (cudaMalloc's caller must cut and join blocks), counts what it holds, gives back what
// nobody uses at a word, takes part in the capture of CUDA graphs, and NVIDIA's tools know it.
//
// Streams: the pool orders a piece's life by a stream, but one piece here is used by several
// (compute, copies, NCCL's), and which of them is not known when it is returned. So no order is
// left to the pool: its operations go to one stream that has no other work, and the host waits,
//   in Return for the device, before the piece is freed: nobody uses what lies in the pool; streams
//     that were destroyed before their work was done are waited for too;
//   in Take for the pool's stream, which does not wait for any other: the piece is there for what
//     is queued from then on, whatever the stream.
// Whether the pool may reuse memory across streams (cudaMemPoolReuse...) does not matter then. The
// price is that a buffer that grows or dies drains the device, as cudaFree would; in a step whose
// buffers are large enough nothing does.
//
// Not in the arena: what NCCL and cuBLASLt take for themselves, kernels' code, CUDA's context.
#ifndef NAVIT_WORKER_DEVICE_CUDA_ARENA_H_
#define NAVIT_WORKER_DEVICE_CUDA_ARENA_H_

#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/device/arena.h"

namespace navit {

// Each method makes the device the calling thread's. Errors are CudaStatus's.
class CudaArena : public DeviceArena {
 public:
  // Of the GPU of that number and name. FailedPrecondition: it has no memory pools.
  static absl::StatusOr<std::unique_ptr<CudaArena>> Make(int ordinal, const std::string& name);
  ~CudaArena() override;

  void Return(void* piece) override;
  absl::Status Trim() override;
  absl::Status ResetPeak() override;
  absl::StatusOr<DeviceMemory> memory() const override;

 protected:
  absl::StatusOr<void*> TryTake(size_t bytes) override;

 private:
  CudaArena(int ordinal, const std::string& name) : DeviceArena(name), ordinal_(ordinal) {}
  absl::Status Enter() const;
  absl::StatusOr<size_t> Get(cudaMemPoolAttr attribute) const;

  const int ordinal_;
  cudaMemPool_t pool_ = nullptr;
  // Of the pool alone.
  cudaStream_t stream_ = nullptr;
};

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_CUDA_ARENA_H_
