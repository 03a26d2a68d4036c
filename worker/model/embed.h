// Embeddings of packs, for evaluation.
#ifndef NAVIT_WORKER_MODEL_EMBED_H_
#define NAVIT_WORKER_MODEL_EMBED_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/batch.h"
#include "worker/model/parameters.h"

namespace navit {

// Row i of both matrices belongs to sample samples[i]; holes have no row.
struct Embeddings {
  int64_t dim = 0;
  std::vector<uint64_t> samples;
  std::vector<uint64_t> caption_hashes;
  // [V, dim], L2-normalised.
  std::vector<float> images;
  std::vector<float> texts;
};

// Forward pass of both towers over the examples of `batch`, appended to `*embeddings`. Keeps no
// activations.
void Embed(const ParameterTable& table, absl::Span<const float> parameters, const Batch& batch,
           kernels::ThreadPool* pool, Embeddings* embeddings);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_EMBED_H_
