#include "worker/device/cuda_arena.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/device/cuda_status.h"

namespace navit {

absl::StatusOr<std::unique_ptr<CudaArena>> CudaArena::Make(int ordinal, const std::string& name) {
  int has_pools = 0;
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaDeviceGetAttribute",
                 cudaDeviceGetAttribute(&has_pools, cudaDevAttrMemoryPoolsSupported, ordinal)));
  if (has_pools == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " has no memory pools (cudaDevAttrMemoryPoolsSupported is 0)"));
  }
  std::unique_ptr<CudaArena> arena(new CudaArena(ordinal, name));
  NAVIT_RETURN_IF_ERROR(arena->Enter());
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = ordinal;
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaMemPoolCreate", cudaMemPoolCreate(&arena->pool_, &properties)));
  uint64_t keep = std::numeric_limits<uint64_t>::max();
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaMemPoolSetAttribute",
                 cudaMemPoolSetAttribute(arena->pool_, cudaMemPoolAttrReleaseThreshold, &keep)));
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaStreamCreateWithFlags",
                 cudaStreamCreateWithFlags(&arena->stream_, cudaStreamNonBlocking)));
  return arena;
}

CudaArena::~CudaArena() {
  if (!Enter().ok()) return;
  if (stream_ != nullptr) {
    CudaStatus("cudaStreamDestroy", cudaStreamDestroy(stream_)).IgnoreError();
  }
  if (pool_ != nullptr) CudaStatus("cudaMemPoolDestroy", cudaMemPoolDestroy(pool_)).IgnoreError();
}

absl::Status CudaArena::Enter() const {
  return CudaStatus("cudaSetDevice", cudaSetDevice(ordinal_));
}

absl::StatusOr<void*> CudaArena::TryTake(size_t bytes) {
  NAVIT_RETURN_IF_ERROR(Enter());
  void* piece = nullptr;
  // The pool has no pieces of 0 bytes.
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaMallocFromPoolAsync",
                 cudaMallocFromPoolAsync(&piece, std::max<size_t>(bytes, 1), pool_, stream_)));
  NAVIT_RETURN_IF_ERROR(CudaStatus("cudaStreamSynchronize", cudaStreamSynchronize(stream_)));
  return piece;
}

// An error is that of work queued before, which the next call of another method shows.
void CudaArena::Return(void* piece) {
  if (!Enter().ok()) return;
  CudaStatus("cudaDeviceSynchronize", cudaDeviceSynchronize()).IgnoreError();
  CudaStatus("cudaFreeAsync", cudaFreeAsync(piece, stream_)).IgnoreError();
  // Until then the piece counts as used, and Trim leaves it.
  CudaStatus("cudaStreamSynchronize", cudaStreamSynchronize(stream_)).IgnoreError();
}

absl::Status CudaArena::Trim() {
  NAVIT_RETURN_IF_ERROR(Enter());
  return CudaStatus("cudaMemPoolTrimTo", cudaMemPoolTrimTo(pool_, 0));
}

absl::Status CudaArena::ResetPeak() {
  NAVIT_RETURN_IF_ERROR(Enter());
  // No other value may be set.
  uint64_t mark = 0;
  return CudaStatus("cudaMemPoolSetAttribute",
                    cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrUsedMemHigh, &mark));
}

absl::StatusOr<size_t> CudaArena::Get(cudaMemPoolAttr attribute) const {
  uint64_t value = 0;
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaMemPoolGetAttribute", cudaMemPoolGetAttribute(pool_, attribute, &value)));
  return value;
}

absl::StatusOr<DeviceMemory> CudaArena::memory() const {
  NAVIT_RETURN_IF_ERROR(Enter());
  DeviceMemory memory;
  NAVIT_ASSIGN_OR_RETURN(memory.arena_used_bytes, Get(cudaMemPoolAttrUsedMemCurrent));
  NAVIT_ASSIGN_OR_RETURN(memory.arena_peak_bytes, Get(cudaMemPoolAttrUsedMemHigh));
  NAVIT_ASSIGN_OR_RETURN(memory.arena_reserved_bytes, Get(cudaMemPoolAttrReservedMemCurrent));
  // The mark that ResetPeak set may stand at 0 until the next piece.
  memory.arena_peak_bytes = std::max(memory.arena_peak_bytes, memory.arena_used_bytes);
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaMemGetInfo", cudaMemGetInfo(&memory.free_bytes, &memory.total_bytes)));
  // Each number is of its own moment, and other threads may take pieces meanwhile.
  memory.free_bytes +=
      memory.arena_reserved_bytes - std::min(memory.arena_reserved_bytes, memory.arena_used_bytes);
  return memory;
}

}  // namespace navit
