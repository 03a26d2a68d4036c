// A Collective whose ranks are threads of one process, for tests.
#ifndef NAVIT_WORKER_COLLECTIVE_THREADS_H_
#define NAVIT_WORKER_COLLECTIVE_THREADS_H_

#include <functional>
#include <memory>
#include <vector>

#include "worker/collective.h"

namespace navit {

// One communicator of `world_size` ranks; element r is for rank r's thread. A rank that is
// destroyed while others still call counts as dead: their calls fail with Unavailable. After Abort
// on any rank every rank's calls fail with Aborted. Memory is the host's, but for reductions of a
// single rank, which touch none.
std::vector<std::unique_ptr<Collective>> MakeThreadCollectives(int world_size);

// Runs `body` once per rank, each in a thread of its own, and joins them.
void RunRanks(int world_size, const std::function<void(Collective*)>& body);

}  // namespace navit

#endif  // NAVIT_WORKER_COLLECTIVE_THREADS_H_
