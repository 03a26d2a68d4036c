// How a rank's packs go through the towers: some at a time.
#ifndef NAVIT_WORKER_MODEL_MICRO_BATCHES_H_
#define NAVIT_WORKER_MODEL_MICRO_BATCHES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "worker/model/batch.h"
#include "worker/model/config.h"

namespace navit {

// Examples that go through the towers together.
struct MicroBatch {
  Batch batch;
  // Index of its first example among this rank's.
  int64_t first_example = 0;
  // Where its activations are kept.
  size_t slot = 0;
};

// Consecutive packs, joined up to `max_tokens` image tokens; packs without examples are left out.
// The memory of `last`, those of the step before, is used again: fresh memory for the patches of a
// large step takes longer than to copy them.
std::vector<MicroBatch> MakeMicroBatches(absl::Span<const Batch> packs, int64_t max_tokens,
                                         std::vector<MicroBatch> last = {});

// Gives each micro-batch a slot of its own as long as their sizes (floats of activations) fit
// `limit`; the rest share the last slot, and all but the last of them are computed twice. Returns
// the number of slots.
size_t AssignSlots(absl::Span<const size_t> sizes, size_t limit, std::vector<MicroBatch>* micros);

double UsefulTrainingFlops(const ModelConfig& config, const std::vector<MicroBatch>& micros);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_MICRO_BATCHES_H_
