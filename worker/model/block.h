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
#include "worker/model/arena.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/mlp.h"
#include "worker/model/norm.h"
#include "worker/model/parameters.h"

namespace navit {

// What the backward pass of a block needs; T tokens, D width, M MLP width, H heads.
template <typename Ops = CpuOps>
struct BlockActivations {
  typename Ops::Value* x = nullptr;                 // [T, D] the block's input
  NormActivations<Ops> norm1;                       // of T rows
  typename Ops::Value* qkv = nullptr;               // [T, 3, D] before QK-norm
  typename Ops::Value* qkv_normed = nullptr;        // [T, 3, D]; qkv itself without QK-norm
  float* qk_inv_rms = nullptr;                      // [T, 2, H]
  typename Ops::Value* attention = nullptr;         // [T, D]
  float* lse = nullptr;                             // [T, H]
  typename Ops::Value* middle = nullptr;            // [T, D] after the attention branch
  NormActivations<Ops> norm2;                       // of T rows
  MlpActivations<Ops> mlp;                          // of T rows
  typename Ops::Value* attention_branch = nullptr;  // [T, D] before its scale; with LayerScale
  typename Ops::Value* mlp_branch = nullptr;        // [T, D] likewise
  const float* rope = nullptr;  // [T, 2, head_dim / 2] angles that turn q and k; null: none
};

// Room for gradients of activations; one serves all blocks.
template <typename Ops = CpuOps>
struct BlockScratch {
  typename Ops::Value* dtokens = nullptr;  // [T, D]
  typename Ops::Value* dqkv = nullptr;     // [T, 3, D]
  typename Ops::Value* dhidden = nullptr;  // [T, M]
  typename Ops::Value* dbranch = nullptr;  // [T, D] with LayerScale
};

template <typename Ops = CpuOps>
class Block {
 public:
  using Value = typename Ops::Value;
  using Context = typename Ops::Context;
  using Segments = typename Ops::Segments;

  // `prefix` is "image.blocks.3" or the like.
  Block(const ParameterTable& table, const std::string& prefix, const TowerConfig& size);

  BlockActivations<Ops> LayOut(int64_t tokens, Arena* arena) const;
  BlockScratch<Ops> LayOutScratch(int64_t tokens, Arena* arena) const;

  // From `activations.x` to `out` [T, D], which is none of the activations, or x itself where no
  // backward pass follows. cu_seqlens [S + 1] ends in T.
  void Forward(const float* parameters, Segments cu_seqlens,
               const BlockActivations<Ops>& activations, Value* out, Context& context) const;

  // Replaces dx [T, D], the gradient with respect to the output, by that with respect to the input,
  // and adds to `gradients`. Calls `progress`, if it is not empty, when the gradients of
  // the MLP, of attn.proj, of attn.qkv and of the whole block are complete.
  void Backward(const float* parameters, float* gradients, Segments cu_seqlens,
                const BlockActivations<Ops>& activations, const BlockScratch<Ops>& scratch,
                Value* dx, Context& context, const GradientProgress& progress) const;

  // End of the block's parameters in the flat array.
  size_t end() const { return norm1_.end(); }

 private:
  // stream += gain * branch, both [tokens, D].
  void AddScaled(const float* gain, int64_t tokens, const Value* branch, Value* stream,
                 Context& context) const;
  // Gradient of a branch [tokens, D] from that of the stream: dx itself, or with LayerScale
  // scratch.dbranch. `scale` is the offset of the gain.
  const Value* BranchGradient(const float* parameters, float* gradients, size_t scale,
                              int64_t tokens, const Value* branch, const Value* dx,
                              const BlockScratch<Ops>& scratch, Context& context) const;

  TowerConfig size_;
  Norm<Ops> norm1_, norm2_;
  Mlp<Ops> mlp_;
  // Offsets in the flat array.
  size_t qkv_, qkv_bias_, q_norm_, k_norm_, proj_, proj_bias_, scale1_, scale2_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_BLOCK_H_
