// The calls of NCCL that navit makes, as a thin interface: the library itself is loaded at run time
// (nccl_library.h), and tests stand a fake in its place (fake_nccl.h). Communicators are
// non-blocking: every call may return kInProgress, after which the communicator may be asked for
// its state (CommGetAsyncError) and for nothing else until that is no longer kInProgress.
#ifndef NAVIT_WORKER_NCCL_NCCL_API_H_
#define NAVIT_WORKER_NCCL_NCCL_API_H_

#include <cstddef>
#include <string>

#include "kernels/cuda/launch.h"

namespace navit {

// The numbers and layouts below are NCCL's binary interface; nccl_abi.cc holds them against nccl.h
// where that is installed.
enum class NcclResult : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};
enum class NcclType : int { kUint8 = 1, kUint64 = 5, kFloat32 = 7, kFloat64 = 8 };
enum class NcclOp : int { kSum = 0, kMax = 2 };

struct NcclUniqueId {
  char bytes[128];
};

using NcclComm = struct ncclComm*;
using NcclStream = kernels::cuda::Stream;

// Thread-safe as far as different communicators go; groups are the calling thread's.
class NcclApi {
 public:
  virtual ~NcclApi() = default;

  virtual NcclResult GetUniqueId(NcclUniqueId* id) = 0;
  // Non-blocking. On the calling thread's device.
  virtual NcclResult CommInit(NcclComm* comm, int world_size, const NcclUniqueId& id, int rank) = 0;
  virtual NcclResult CommGetAsyncError(NcclComm comm, NcclResult* state) = 0;
  // Completes what was queued; then Destroy frees the communicator.
  virtual NcclResult CommFinalize(NcclComm comm) = 0;
  virtual NcclResult CommDestroy(NcclComm comm) = 0;
  // Ends what is under way and frees the communicator.
  virtual NcclResult CommAbort(NcclComm comm) = 0;

  // Calls in between are one operation, queued at the end.
  virtual NcclResult GroupStart() = 0;
  virtual NcclResult GroupEnd() = 0;

  // `count` elements in device memory, queued on the stream. `send` may be `receive`.
  virtual NcclResult AllReduce(const void* send, void* receive, size_t count, NcclType type,
                               NcclOp op, NcclComm comm, NcclStream stream) = 0;
  virtual NcclResult Broadcast(const void* send, void* receive, size_t count, NcclType type,
                               int root, NcclComm comm, NcclStream stream) = 0;
  virtual NcclResult Reduce(const void* send, void* receive, size_t count, NcclType type, NcclOp op,
                            int root, NcclComm comm, NcclStream stream) = 0;

  // NCCL's words for a result, and the last error of the communicator (may be null).
  virtual std::string Describe(NcclResult result, NcclComm comm) = 0;
};

}  // namespace navit

#endif  // NAVIT_WORKER_NCCL_NCCL_API_H_
