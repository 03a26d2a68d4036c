#include "worker/device/arena.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {

absl::StatusOr<void*> DeviceArena::Take(size_t bytes) {
  absl::StatusOr<void*> piece = TryTake(bytes);
  if (absl::IsResourceExhausted(piece.status())) {
    // What was returned may be large enough together and in pieces that are too small each.
    NAVIT_RETURN_IF_ERROR(Trim());
    piece = TryTake(bytes);
  }
  if (!absl::IsResourceExhausted(piece.status())) return piece;
  NAVIT_ASSIGN_OR_RETURN(const DeviceMemory now, memory());
  return absl::ResourceExhaustedError(
      absl::StrCat(device_, " has no ", bytes, " bytes of memory: the trainer uses ",
                   now.arena_used_bytes, ", and ", now.free_bytes, " of ", now.total_bytes,
                   " are free (", piece.status().message(), ")"));
}

}  // namespace navit
