// Drawn examples, for tests and benchmarks.
#ifndef NAVIT_WORKER_MODEL_TESTING_H_
#define NAVIT_WORKER_MODEL_TESTING_H_

#include <cstdint>
#include <vector>

#include "worker/model/batch.h"
#include "worker/model/config.h"

namespace navit {

// Lengths of one example; both 0 for a hole.
struct ExampleShape {
  int64_t image_tokens = 0;
  int64_t text_tokens = 0;
};

// A model small enough for finite differences: width 32, depth 1, two heads, patch 4, embeddings of
// 24 numbers.
ModelConfig SmallModelConfig();

// The same tower with a classifier of seven classes.
ModelConfig SmallClassifierConfig(v1::LossSpec::Kind kind);

// Examples whose pixels, positions, texts and hashes, or labels, depend on (seed, sample) alone;
// sample i is first_sample + i. Holes are left out, as ParseBatch leaves them out.
Batch DrawBatch(const ModelConfig& config, uint64_t seed, uint64_t first_sample,
                const std::vector<ExampleShape>& shapes);

// Example `index` of `batch` alone.
Batch Single(const Batch& batch, const ModelConfig& config, int64_t index);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TESTING_H_
