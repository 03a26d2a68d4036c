// Images and captions to embeddings, with the weights of a stored model.
#ifndef NAVIT_EMBED_EMBEDDER_H_
#define NAVIT_EMBED_EMBEDDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"
#include "kernels/thread_pool.h"
#include "packer/render.h"
#include "packer/tokenizer.h"
#include "worker/model/batch.h"
#include "worker/model/image_tower.h"
#include "worker/model/text_tower.h"
#include "worker/weights/stored_model.h"

namespace navit {

struct EmbedderOptions {
  // Patches of an image, 0: the first of evaluation.token_budgets of the model's job.
  uint32_t token_budget = 0;
  // Pooled features of the tower instead of embeddings of unit length in the common space.
  bool features = false;
  int threads = 1;
};

// Collects inputs of one kind, then runs them through their tower together, packed: each attends to
// itself alone, and its numbers are bit for bit those of the job's evaluation on CPUs (for the same
// kind of processor), whatever else is in the batch. Not thread-safe.
class Embedder {
 public:
  // Of a classifier there are only images' features. InvalidArgument: embeddings of it are wanted.
  static absl::StatusOr<std::unique_ptr<Embedder>> Create(StoredModel model, ObjectStore* store,
                                                          const EmbedderOptions& options);

  // Adds an image by the bytes of its file. InvalidArgument: they cannot be used, and why.
  absl::Status AddImage(absl::string_view file);
  // Adds a caption, trimmed of white space. InvalidArgument: nothing of it is left, or the model
  // has no text tower.
  absl::Status AddCaption(absl::string_view caption);

  // Tokens added so far, and inputs.
  int64_t tokens() const;
  int64_t size() const { return batch_.examples(); }
  // Numbers of one row: images and captions have the same, but for their features.
  int64_t image_dim() const;
  int64_t text_dim() const;

  // Rows [size(), dim] of what was added, in order; then it is empty again.
  std::vector<float> TakeImages();
  std::vector<float> TakeCaptions();

 private:
  Embedder(StoredModel model, const EmbedderOptions& options,
           std::shared_ptr<const Tokenizer> tokenizer);
  std::vector<float> Rows(const TowerActivations<>& activations, int64_t dim) const;

  const StoredModel model_;
  const EmbedderOptions options_;
  const uint32_t token_budget_;
  // Null of a classifier, and there is no text tower then.
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const ImageTower<> image_tower_;
  const std::optional<TextTower<>> text_tower_;
  kernels::ThreadPool pool_;
  RenderBuffers render_;
  Batch batch_;
};

}  // namespace navit

#endif  // NAVIT_EMBED_EMBEDDER_H_
