// Runs the threads of a block as fibers, one block after the other.
#ifndef NAVIT_KERNELS_CUDA_HOST_TWIN_GRID_H_
#define NAVIT_KERNELS_CUDA_HOST_TWIN_GRID_H_

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "kernels/cuda/host_twin/memory.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda::twin {

// How the grids of this host thread run.
struct Options {
  // The order in which runnable threads are taken: 0 ascending, 1 descending, otherwise drawn.
  uint64_t seed = 0;
  // "file:line" of a barrier or of a wait for copies that does nothing. Shows that it is needed.
  std::string skip;
  // Bytes of shared memory that a block may ask for; more is reported.
  int64_t max_shared_bytes = 227 << 10;
};
Options& GetOptions();

// "file:line" of every barrier and wait that a thread came to since the last call.
std::set<std::string> TakeSyncSites();

// Calls body once per thread of the grid, inside its fiber. Findings go to Report; a block whose
// threads wait for each other for ever is reported and left.
void RunGrid(const LaunchShape& shape, const std::function<void()>& body);

// --- Inside body

int Thread();
int64_t Block();
int64_t Blocks();
Actor CurrentActor();
Region* SharedRegion();

// A barrier or wait at `site` is to be passed without effect.
bool Skipped(const Site& site);

void BlockBarrier(const Site& site);
void WarpBarrier(const Site& site);

// All 32 lanes of the warp meet; the last one calls compute(lanes) with the `operands` of each. All
// must come with one `site`.
void MeetLanes(void* operands, void (*compute)(void* const (&lanes)[32]), const Site& site);

// An asynchronous copy of 16 bytes, held back until it is waited for.
void CopyAsync(Region* to_region, std::byte* to, const std::byte (&bytes)[16], const Site& site);
void CopyAsyncCommit();
void CopyAsyncWait(int pending_commits, const Site& site);

}  // namespace navit::kernels::cuda::twin

#endif  // NAVIT_KERNELS_CUDA_HOST_TWIN_GRID_H_
