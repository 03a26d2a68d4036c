// NCCL itself, loaded at run time: nothing of navit links it, and a machine without it trains on
// CPUs, or on one GPU.
#ifndef NAVIT_WORKER_NCCL_NCCL_LIBRARY_H_
#define NAVIT_WORKER_NCCL_NCCL_LIBRARY_H_

#include "absl/status/statusor.h"
#include "worker/nccl/nccl_api.h"

namespace navit {

// Struct ncclConfig of NCCL 2.14, the first with non-blocking communicators; every later library
// takes it by its size and version, and uses its own defaults for what came after.
struct NcclConfig {
  size_t size = sizeof(NcclConfig);
  unsigned int magic = 0xcafebeef;
  unsigned int version = 21400;
  int blocking = 0;
};

// The library's entry points; lives for ever. NotFound: there is no libnccl.so.2 where the dynamic
// linker looks. FailedPrecondition names its version when that is older than 2.14, or the function
// that it lacks.
absl::StatusOr<NcclApi*> LoadNccl();

}  // namespace navit

#endif  // NAVIT_WORKER_NCCL_NCCL_LIBRARY_H_
