// Gloo's connections, one context for each other rank, with its listeners on ports of a range.
#ifndef NAVIT_WORKER_GLOO_CONTEXT_H_
#define NAVIT_WORKER_GLOO_CONTEXT_H_

#include <chrono>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/gloo_collective.h"

namespace gloo::transport {
class Context;
}  // namespace gloo::transport

namespace navit {

// By rank: a context with the one pair of (options.rank, that rank), which listens; null for
// options.rank itself. Gloo knows one port for all pairs of a device, and that the system chooses;
// so with a range every pair has a device (an event loop) of its own, on the first port that is
// free. Without one they share a device.
//
// InvalidArgument: the host cannot be used. ResourceExhausted: no port of the range is free. Throws
// what else Gloo throws.
absl::StatusOr<std::vector<std::shared_ptr<gloo::transport::Context>>> ListenForRanks(
    const GlooOptions& options, std::chrono::milliseconds timeout);

}  // namespace navit

#endif  // NAVIT_WORKER_GLOO_CONTEXT_H_
