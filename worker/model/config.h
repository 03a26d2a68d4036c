// The numbers of a model: presets and overrides of v1::ModelSpec resolved once.
#ifndef NAVIT_WORKER_MODEL_CONFIG_H_
#define NAVIT_WORKER_MODEL_CONFIG_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Size and kind of one transformer encoder (v1::TowerSize, v1::EncoderSpec).
struct TowerConfig {
  int64_t width = 0;
  int64_t depth = 0;
  int64_t mlp_dim = 0;
  int64_t heads = 0;
  v1::ImageTowerSpec::Pooling pooling = v1::ImageTowerSpec::MAP;
  float eps = 1e-6f;
  bool qk_norm = true;
  bool attention_bias = false;
  bool gelu_erf = false;
  bool causal = false;
  // LayerNorm instead of RMSNorm.
  bool layer_norm = false;
  // First value of LayerScale's gains; 0: the blocks have none.
  float layer_scale = 0;
  // A norm before the blocks.
  bool norm_pre = false;
  // The final norm comes after the pooling.
  bool norm_after_pooling = false;
  // Biases of attention pooling.
  bool map_bias = false;
  // Learned tokens in front of each segment.
  int64_t prefix_tokens = 0;

  bool has_layer_scale() const { return layer_scale != 0; }
  int64_t head_dim() const { return width / heads; }
};

struct ModelConfig {
  TowerConfig image;
  TowerConfig text;
  int64_t patch_size = 0;
  // A contrastive loss, of which SIGMOID has a bias of the logits, or a classification loss.
  v1::LossSpec::Kind loss = v1::LossSpec::SOFTMAX;
  // Rows of the classifier; 0 with a contrastive loss.
  int64_t classes = 0;
  // Bias of the patch embedding.
  bool patch_bias = true;
  // Largest side of an image's grid.
  int64_t max_grid = 0;
  v1::ImageTowerSpec::PositionEmbedding position = v1::ImageTowerSpec::FACTORIZED_SUM;
  v1::ImageTowerSpec::Coordinates coordinates = v1::ImageTowerSpec::ABSOLUTE;
  // How a joint table with fractional coordinates is read.
  v1::ImageTowerSpec::Interpolation interpolation = v1::ImageTowerSpec::LINEAR;
  // Rows of each position table of the image tower; max_grid with absolute coordinates.
  int64_t position_rows = 0;
  // Rows of the text tower's token table.
  int64_t text_vocabulary = 258;
  // Rows of the text tower's position table.
  int64_t max_text_tokens = 0;
  // Common width of image and text embeddings.
  int64_t embedding_dim = 0;
  // Per channel, of pixels in [0, 1].
  std::array<float, 3> pixel_mean = {0.5f, 0.5f, 0.5f};
  std::array<float, 3> pixel_std = {0.5f, 0.5f, 0.5f};

  // The table is resized to the grid by a filter (resample_weights.h).
  bool resamples_positions() const { return interpolation != v1::ImageTowerSpec::LINEAR; }
  // A classifier takes the place of the text tower.
  bool has_text() const { return classes == 0; }
  // What the image tower ends in: logits of the classes, or an embedding.
  int64_t image_outputs() const { return classes > 0 ? classes : embedding_dim; }
  // Numbers of one patch: patch_size * patch_size * 3, in the order (row, column, channel).
  int64_t patch_dim() const { return patch_size * patch_size * 3; }
};

// Presets mu, Ti, S, M, B and L are width/depth/mlp_dim/heads of NaViT and ViT (Ti 192/12/768/3
// ...); every number of `size` overrides the preset's. The text tower takes the image tower's
// numbers where it has none of its own. InvalidArgument names the field, as in
// "model.image.size.heads: must divide width ...".
absl::StatusOr<ModelConfig> ResolveModelConfig(const v1::ModelSpec& model,
                                               const v1::PreprocessSpec& preprocess,
                                               const v1::LossSpec& loss);

// Useful floating-point operations of one forward pass over segments of these lengths (patches and
// caption tokens; the work of prefix tokens comes on top): patch embedding, linear layers,
// attention (4 l^2 D for a segment of l tokens and width D), pooling and projections of both
// towers, or the classifier; real tokens only. A multiplication and an addition count as two.
// Training takes three times as many. The loss is not in it.
double UsefulForwardFlops(const ModelConfig& config, absl::Span<const int64_t> image_tokens,
                          absl::Span<const int64_t> text_tokens);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CONFIG_H_
