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

// Row i of each matrix belongs to sample samples[i]; holes have no row.
struct Embeddings {
  // Of an embedding; with a classification loss its classes.
  int64_t dim = 0;
  std::vector<uint64_t> samples;
  // As in Batch.
  std::vector<uint64_t> caption_hashes;
  std::vector<int32_t> labels;
  // [V, dim], L2-normalised; logits with a classification loss.
  std::vector<float> images;
  // [V, dim], L2-normalised; empty without a text tower.
  std::vector<float> texts;
  // [V, width of the image tower]: pooled, before the projection or the classifier. Only where they
  // are asked for.
  bool keep_features = false;
  std::vector<float> features;
};

// Forward pass of the towers over the examples of `batch`, appended to `*embeddings`. Keeps no
// activations.
void Embed(const ParameterTable& table, absl::Span<const float> parameters, const Batch& batch,
           kernels::ThreadPool* pool, Embeddings* embeddings);

// The same of the text tower alone: [S, dim] of the batch's texts, of which an image may be
// missing.
void EmbedTexts(const ParameterTable& table, absl::Span<const float> parameters, const Batch& batch,
                kernels::ThreadPool* pool, std::vector<float>* texts);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_EMBED_H_
