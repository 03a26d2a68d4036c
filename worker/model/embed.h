// Embeddings of packs, for evaluation.
#ifndef NAVIT_WORKER_MODEL_EMBED_H_
#define NAVIT_WORKER_MODEL_EMBED_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

// The towers with one set of weights, which nobody changes meanwhile: on the CPU (below), on a GPU
// (device/embed.h). The forward pass of training, with room for the activations of one block. Of one
// thread.
class PackEmbedder {
 public:
  virtual ~PackEmbedder() = default;

  // Batches that are joined up to so many tokens of a tower take less time than one by one.
  virtual int64_t joined_tokens() const = 0;

  // Appends the examples of `batch`, which may have none, to `*embeddings`, and sets its dim.
  // Errors are a device's alone: want of memory (ResourceExhausted), or what is wrong with the
  // device; then neither `*embeddings` nor the embedder is of further use.
  virtual absl::Status Embed(const Batch& batch, Embeddings* embeddings) = 0;
  // The same of the text tower alone: [S, embedding_dim] of the batch's texts, of which an image
  // may be missing.
  virtual absl::Status EmbedTexts(const Batch& batch, std::vector<float>* texts) = 0;

  // The weight at that place of the flat array.
  virtual absl::StatusOr<float> Parameter(size_t offset) = 0;
};

// On the CPU, where nothing fails. `parameters` is the flat array; all must outlive the embedder.
std::unique_ptr<PackEmbedder> MakeCpuEmbedder(const ParameterTable* table, const float* parameters,
                                              int64_t joined_tokens, kernels::ThreadPool* pool);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_EMBED_H_
