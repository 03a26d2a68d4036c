// What tells the image tower where a patch lies: added to the tokens (tables, waves), or turned
// into q and k of every block (RoPE).
#ifndef NAVIT_WORKER_MODEL_POSITION_EMBEDDING_H_
#define NAVIT_WORKER_MODEL_POSITION_EMBEDDING_H_

#include <vector>

#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/batch.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/parameters.h"

namespace navit {

// Places of all tokens in units of table rows, [T, 2], in [0, position_rows - 1]:
//   absolute            u = p
//   fractional          u = (p + 1/2) * position_rows / side - 1/2, clamped; side of that axis
//   aspect_fractional   the same with the grid's longer side for both axes
// From whole numbers, in fp32.
void PositionCoordinates(const ModelConfig& config, const Batch& batch, float* coordinates);

// Fills weights [T, 2, position_rows] of a resampled table, see kernels/resampled_table.h.
void PositionWeights(const ModelConfig& config, const Batch& batch, float* weights);

// Frequencies [width / 2, 2] of the sinusoidal kind: half of the waves run along the rows and half
// along the columns, from 1 down to nearly 1/10,000.
std::vector<float> SinusoidalFrequencies(int64_t width);

struct PositionActivations {
  float* coordinates = nullptr;  // [T, 2]; null where the table is resampled
  float* weights = nullptr;      // [T, 2, position_rows] where it is; else null
  // [U, 2, head_dim / 2] for RoPE, else null; see kernels/rope.h. U counts prefix tokens, which do
  // not turn; rope_patches [T, 2, head_dim / 2] are those without.
  float* rope = nullptr;
  float* rope_patches = nullptr;
};

template <typename Ops>
class PositionEmbedding;

template <>
class PositionEmbedding<CpuOps> {
 public:
  using Activations = PositionActivations;

  explicit PositionEmbedding(const ParameterTable& table);

  PositionActivations LayOut(const Batch& batch, Arena* arena) const;

  // Fills the activations and adds to x [T, D].
  void Forward(const float* parameters, const Batch& batch, const PositionActivations& activations,
               float* x, kernels::ThreadPool& pool) const;
  // Adds to `gradients`, from dx [T, D], the gradient with respect to the result of Forward.
  void Backward(const float* parameters, float* gradients, const Batch& batch,
                const PositionActivations& activations, const float* dx,
                kernels::ThreadPool& pool) const;

 private:
  ModelConfig config_;
  // Offsets in the flat array of what the kind has: row and column tables, or one table, or the
  // frequencies.
  size_t first_ = 0, second_ = 0;
  // [D / 2, 2] of the sinusoidal kind.
  std::vector<float> fixed_frequencies_;
  // [prefix_tokens, 2, head_dim / 2] of RoPE: cosines 1 and sines 0.
  std::vector<float> no_turn_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_POSITION_EMBEDDING_H_
