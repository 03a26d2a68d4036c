// One pre-norm transformer block over packed segments:
//   x += scale1 * proj(attention(rope(qk_norm(qkv(norm1(x))))))
//   x += scale2 * mlp(norm2(x))
// where the scales are learned gains per channel (LayerScale), or 1.
#ifndef NAVIT_WORKER_MODEL_BLOCK_H_
#define NAVIT_WORKER_MODEL_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/mlp.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// What the backward pass of a block needs; T tokens, D width, M MLP width, H heads.
struct BlockActivations {
  float* x = nullptr;                 // [T, D] the block's input
  NormActivations norm1;              // of T rows
  float* qkv = nullptr;               // [T, 3, D] before QK-norm
  float* qkv_normed = nullptr;        // [T, 3, D]; qkv itself without QK-norm
  float* qk_inv_rms = nullptr;        // [T, 2, H]
  float* attention = nullptr;         // [T, D]
  float* lse = nullptr;               // [T, H]
  float* middle = nullptr;            // [T, D] after the attention branch
  NormActivations norm2;              // of T rows
  MlpActivations mlp;                 // of T rows
  float* attention_branch = nullptr;  // [T, D] before its scale; with LayerScale
  float* mlp_branch = nullptr;        // [T, D] likewise
  const float* rope = nullptr;        // [T, 2, head_dim / 2] angles that turn q and k; null: none
};

// Room for gradients of activations; one serves all blocks.
struct BlockScratch {
  float* dtokens = nullptr;  // [T, D]
  float* dqkv = nullptr;     // [T, 3, D]
  float* dhidden = nullptr;  // [T, M]
  float* dbranch = nullptr;  // [T, D] with LayerScale
};

class Block {
 public:
  // `prefix` is "image.blocks.3" or the like.
  Block(const ParameterTable& table, const std::string& prefix, const TowerConfig& size);

  BlockActivations LayOut(int64_t tokens, Arena* arena) const;
  BlockScratch LayOutScratch(int64_t tokens, Arena* arena) const;

  // From `activations.x` to `out` [T, D], which is none of the activations. cu_seqlens [S + 1] ends
  // in T.
  void Forward(const float* parameters, absl::Span<const int32_t> cu_seqlens,
               const BlockActivations& activations, float* out, kernels::ThreadPool& pool) const;

  // Replaces dx [T, D], the gradient with respect to the output, by that with respect to the input,
  // and adds to `gradients`.
  void Backward(const float* parameters, float* gradients, absl::Span<const int32_t> cu_seqlens,
                const BlockActivations& activations, const BlockScratch& scratch, float* dx,
                kernels::ThreadPool& pool) const;

  // End of the block's parameters in the flat array.
  size_t end() const { return norm1_.end(); }

 private:
  // stream += gain * branch, both [tokens, D].
  void AddScaled(const float* gain, int64_t tokens, const float* branch, float* stream,
                 kernels::ThreadPool& pool) const;
  // Gradient of a branch [tokens, D] from that of the stream: dx itself, or with LayerScale
  // scratch.dbranch. `scale` is the offset of the gain.
  const float* BranchGradient(const float* parameters, float* gradients, size_t scale,
                              int64_t tokens, const float* branch, const float* dx,
                              const BlockScratch& scratch, kernels::ThreadPool& pool) const;

  TowerConfig size_;
  Norm norm1_, norm2_;
  Mlp mlp_;
  // Offsets in the flat array.
  size_t qkv_, qkv_bias_, q_norm_, k_norm_, proj_, proj_bias_, scale1_, scale2_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_BLOCK_H_
