// The examples of one or more packs, checked and ready for the towers.
#ifndef NAVIT_WORKER_MODEL_BATCH_H_
#define NAVIT_WORKER_MODEL_BATCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/model/config.h"

namespace navit {

// V examples with T image tokens and L text tokens. Masked holes of the pack have no tokens and
// make no pooled row, so they are left out here: example i is the i-th that is no hole.
struct Batch {
  uint32_t epoch = 0;
  // Examples of the plan, holes included.
  int64_t planned_examples = 0;
  // [V]
  std::vector<uint64_t> samples;
  // [V]; empty without a text tower.
  std::vector<uint64_t> caption_hashes;
  // [V]; empty where the data set has no labels.
  std::vector<int32_t> labels;
  // [V + 1] first token of each example; the last element is T or L. Only the 0 of text without a
  // text tower.
  std::vector<int32_t> image_cu_seqlens = {0};
  std::vector<int32_t> text_cu_seqlens = {0};
  // uint8 [T, patch_dim], RGB of 8 bits, not yet normalised.
  std::string patches;
  // [V, 2] rows and columns of each image's grid, token drop or not; in [1, max_grid].
  std::vector<uint16_t> grids;
  // [T, 2] row and column of each patch in its image's grid, in [0, max_grid).
  std::vector<uint16_t> positions;
  // [L] token ids in [0, vocabulary).
  std::vector<uint16_t> text;

  int64_t examples() const { return static_cast<int64_t>(samples.size()); }
  int64_t image_tokens() const { return image_cu_seqlens.back(); }
  int64_t text_tokens() const { return text_cu_seqlens.back(); }
};

// Parses a serialised v1::Pack. InvalidArgument names the first field that is wrong: a column of
// the wrong length, an image with more tokens than its grid has patches, a position outside of the
// grid or of the table, a token outside of the vocabulary, a caption longer than the position
// table, an example that is empty in one tower only, texts without a text tower, a classifier's
// example without a label, a label beyond its classes.
absl::StatusOr<Batch> ParseBatch(absl::string_view payload, const ModelConfig& config);

// Parses a serialised v1::Pack of texts without images (SPLIT_PROMPTS): `samples`, `labels` and the
// columns of texts are set. InvalidArgument as ParseBatch.
absl::StatusOr<Batch> ParseTexts(absl::string_view payload, const ModelConfig& config);

// The examples of `batches` in order, as one batch. `epoch` is the last one's. The memory of `all`,
// whose content is lost, is used again.
Batch Concatenate(absl::Span<const Batch* const> batches, Batch all = {});

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_BATCH_H_
