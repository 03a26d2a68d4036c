// The model's parameters as one flat array, with a table of names and shapes.
//
// Everything that treats all parameters alike (all-reduce, clipping, AdamW, checkpoints, comparing
// replicas) is a loop over flat memory; the towers find their tensors by name.
//
// Names, with D the tower's width, M its MLP width, p the patch side (linear weights are [out,
// in]):
//   loss.logit_scale                     [1]  natural logarithm of the scale
//   loss.logit_bias                      [1]  with the sigmoid contrastive loss
//   TOWER.projection.weight              [embedding_dim, D]
//   image.classifier.{weight,bias}       [classes, D], [classes]
//   TOWER.pool.probe                     [D]
//   TOWER.pool.{q,proj}.weight           [D, D]
//   TOWER.pool.kv.weight                 [2D, D]   rows: all of k, all of v
//   TOWER.pool.norm.gain                 [D]
//   TOWER.pool.{q,kv,proj}.bias          [D], [2D], [D]   with map_bias
//   TOWER.pool.mlp.{fc1,fc2}.{weight,bias}
//   TOWER.norm.gain                      [D]
//   TOWER.norm_pre.gain                  [D]      with norm_before_blocks
//   TOWER.prefix                         [prefix_tokens, D]
//   TOWER.blocks.N.norm1.gain            [D]
//   TOWER.blocks.N.attn.qkv.weight       [3D, D]   rows: all of q, all of k, all of v
//   TOWER.blocks.N.attn.{q,k}_norm.gain  [D / heads]   with QK-norm
//   TOWER.blocks.N.attn.{qkv,proj}.bias  [3D], [D]     with attention_bias
//   TOWER.blocks.N.attn.proj.weight      [D, D]
//   TOWER.blocks.N.scale{1,2}.gain       [D]      with layer_scale, of the attention and the MLP
//   TOWER.blocks.N.norm2.gain            [D]
//   TOWER.blocks.N.mlp.fc1.{weight,bias} [M, D], [M]
//   TOWER.blocks.N.mlp.fc2.{weight,bias} [D, M], [D]
//   image.patch_embed.{weight,bias}      [D, p*p*3], [D]
//   image.position.{row,column}          [R, D], stacked [R, D / 2]; R = position_rows
//   image.position.table                 [R, R, D]     joint
//   image.position.frequencies           [D / 2, 2]    Fourier
//   text.token_embed                     [vocabulary, D]
//   text.position                        [max_text_tokens, D]
// with TOWER in {image, text}; TOWER.pool.* with MAP pooling. With a classification loss the
// classifier takes the place of the projection, and there is neither loss.* nor text.*. With norm
// layer each norm (but those of q and k) has a bias [D] beside its gain.
#ifndef NAVIT_WORKER_MODEL_PARAMETERS_H_
#define NAVIT_WORKER_MODEL_PARAMETERS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/model/aligned_buffer.h"
#include "worker/model/config.h"

namespace navit {

// Where the logit scale's parameter starts: ln(1 / 0.07), and ln(10) with the sigmoid loss, whose
// bias starts at -10 (SigLIP, arXiv 2303.15343); and ln(100), where it is clamped.
inline constexpr float kInitialLogitScale = 2.6592600f;
inline constexpr float kInitialSigmoidLogitScale = 2.3025851f;
inline constexpr float kInitialLogitBias = -10.0f;
inline constexpr float kLargestLogitScale = 4.6051702f;

struct ParameterInfo {
  // How the tensor starts out.
  enum class Init {
    kZero,
    kOne,
    // Normal with standard deviation 0.02.
    kNormal,
    // Normal with standard deviation √0.02: the product of two has 0.02.
    kNormalFactor,
    // Xavier-uniform over the whole matrix.
    kXavier,
    // A [kD, D] matrix of k stacked D x D matrices, each Xavier-uniform by itself.
    kXavierSquares,
    // All elements are init_value.
    kConstant,
  };

  std::string name;
  std::vector<int64_t> shape;
  // First element in the flat array, a multiple of kTensorAlignment bytes.
  size_t offset = 0;
  // Product of shape.
  size_t size = 0;
  // Weight decay applies: matrices only, neither tables nor probes.
  bool decay = false;
  Init init = Init::kZero;
  // With kConstant.
  float init_value = 0;
};

// Which tensor lies where. The order is that in which the backward pass completes gradients: the
// loss's own parameters, the text tower from its head to its embeddings, then the image tower
// likewise; so a prefix of the flat array is complete at any time of the backward pass.
class ParameterTable {
 public:
  explicit ParameterTable(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }
  absl::Span<const ParameterInfo> entries() const { return entries_; }
  // Floats of the flat array, gaps for alignment included (gaps are zero and stay zero).
  size_t total_size() const { return total_size_; }
  // Trainable numbers, without gaps.
  size_t parameter_count() const { return parameter_count_; }

  // The entry of that name; it must exist. FindOrNull returns nullptr otherwise.
  const ParameterInfo& Find(absl::string_view name) const;
  const ParameterInfo* FindOrNull(absl::string_view name) const;

 private:
  void Add(std::string name, std::vector<int64_t> shape, ParameterInfo::Init init, bool decay);
  void AddConstant(std::string name, int64_t size, float value);
  void AddNorm(const std::string& name, const TowerConfig& size);
  void AddMlp(const std::string& prefix, int64_t width, int64_t mlp_dim);
  void AddText();
  void AddPosition();
  void AddClassifier();
  void AddTower(const std::string& tower, const TowerConfig& size);

  ModelConfig config_;
  std::vector<ParameterInfo> entries_;
  absl::flat_hash_map<std::string, size_t> index_;
  size_t total_size_ = 0;
  size_t parameter_count_ = 0;
};

// Called by a backward pass with N when the first N floats of the gradient array are complete.
using GradientProgress = std::function<void(size_t complete)>;

// What a step changes: the weights and AdamW's two moments, flat arrays laid out by the table, the
// moving average of the weights if the job has one, and the number of updates so far. This is all
// that a checkpoint or a joining rank needs; gradients are scratch.
struct ModelState {
  explicit ModelState(const ParameterTable& table, bool with_average = false)
      : average(with_average ? table.total_size() : 0),
        parameters(table.total_size()),
        first_moment(table.total_size()),
        second_moment(table.total_size()),
        gradients(table.total_size()) {}

  bool has_average() const { return average.size() > 0; }
  // The weights to evaluate.
  absl::Span<const float> evaluated() const {
    return has_average() ? average.span() : parameters.span();
  }

  AlignedBuffer average;
  AlignedBuffer parameters;
  AlignedBuffer first_moment;
  AlignedBuffer second_moment;
  AlignedBuffer gradients;
  // Updates applied (skipped steps are not among them), for AdamW's bias correction.
  uint64_t updates = 0;
};

// Lets the moving average, if there is one, begin at the weights as they are.
void StartAverage(ModelState* state);

// Sets parameters to their initial values, where the average begins, and everything else to zero.
// The values depend on the seed and each tensor's name and shape alone: equal on every machine and
// for every world size.
void InitializeState(const ParameterTable& table, uint64_t seed, ModelState* state);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_PARAMETERS_H_
