// One pre-norm transformer block over packed segments:
//   x += proj(attention(rope(qk_norm(qkv(norm1(x))))))
//   x += fc2(gelu(fc1(norm2(x))))
#ifndef NAVIT_WORKER_MODEL_BLOCK_H_
#define NAVIT_WORKER_MODEL_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "worker/model/arena.h"
#include "worker/model/parameters.h"

namespace navit {

// What the backward pass of a block needs; T tokens, D width, M MLP width, H heads.
struct BlockActivations {
  float* x = nullptr;              // [T, D] the block's input
  float* norm1 = nullptr;          // [T, D]
  float* norm1_inv_rms = nullptr;  // [T]
  float* qkv = nullptr;            // [T, 3, D] before QK-norm
  float* qkv_normed = nullptr;     // [T, 3, D]; qkv itself without QK-norm
  float* qk_inv_rms = nullptr;     // [T, 2, H]
  float* attention = nullptr;      // [T, D]
  float* lse = nullptr;            // [T, H]
  float* middle = nullptr;         // [T, D] after the attention branch
  float* norm2 = nullptr;          // [T, D]
  float* norm2_inv_rms = nullptr;  // [T]
  float* hidden = nullptr;         // [T, M] before bias and GELU
  float* active = nullptr;         // [T, M]
  const float* rope = nullptr;     // [T, 2, head_dim / 2] angles that turn q and k; null: none
};

// Room for gradients of activations; one serves all blocks.
struct BlockScratch {
  float* dtokens = nullptr;  // [T, D]
  float* dqkv = nullptr;     // [T, 3, D]
  float* dhidden = nullptr;  // [T, M]
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
  size_t end() const { return end_; }

 private:
  TowerConfig size_;
  // Offsets in the flat array.
  size_t norm1_, qkv_, qkv_bias_, q_norm_, k_norm_, proj_, proj_bias_;
  size_t norm2_, fc1_, fc1_bias_, fc2_, fc2_bias_;
  size_t end_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_BLOCK_H_
