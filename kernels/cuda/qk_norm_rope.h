// qk_norm.h and rope.h (kernels/) on a GPU: both in one pass over q and k, and rotation alone.
#ifndef NAVIT_KERNELS_CUDA_QK_NORM_ROPE_H_
#define NAVIT_KERNELS_CUDA_QK_NORM_ROPE_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// RMSNorm over each head of q and k, then their rotation. head_dim is one of head_dims.h;
// 3·tokens·heads is below 2^31.
//   qkv, normed     [tokens, 3, heads, head_dim] bf16; v is copied, or stays where they alias (then
//                   there is no backward pass)
//   q_gain, k_gain  [head_dim] fp32
//   cos_sin         [tokens, 2, head_dim / 2] fp32, RopeTable of kernels/rope.h; null: no rotation
//   inv_rms         [tokens, 2, heads] fp32; null: not saved
// Device memory, 16-byte aligned. Tolerance: 2^-8 of the largest element of a head.
struct QkNormRopeForwardArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  float eps = 1e-6f;
  const Bf16* qkv = nullptr;
  const float* q_gain = nullptr;
  const float* k_gain = nullptr;
  const float* cos_sin = nullptr;
  Bf16* normed = nullptr;
  float* inv_rms = nullptr;
};

// dqkv holds the gradient with respect to `normed` and is replaced by the one with respect to
// `qkv`; its v part is not touched. dq_gain and dk_gain are added to, in an order that depends on
// the shapes only. `partial` is working memory, [2, QkNormSlabs(tokens), head_dim]. Tolerance: 2^-7
// of the largest element.
struct QkNormRopeBackwardArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  const Bf16* qkv = nullptr;
  const float* q_gain = nullptr;
  const float* k_gain = nullptr;
  const float* cos_sin = nullptr;
  const float* inv_rms = nullptr;
  Bf16* dqkv = nullptr;
  float* dq_gain = nullptr;
  float* dk_gain = nullptr;
  float* partial = nullptr;
};

// Turns q and k in place, or back; v is not touched. The shapes and limits are those above.
// Tolerance: 2^-8 of the largest element of a head.
struct RopeArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  const float* cos_sin = nullptr;
  Bf16* qkv = nullptr;
  bool inverse = false;  // the backward pass
};

inline constexpr int64_t kQkNormSlab = 32;  // tokens of a block
inline constexpr int64_t QkNormSlabs(int64_t tokens) {
  return (tokens + kQkNormSlab - 1) / kQkNormSlab;
}

LaunchError QkNormRopeForward(const QkNormRopeForwardArgs& args, Stream stream);
LaunchError QkNormRopeBackward(const QkNormRopeBackwardArgs& args, Stream stream);
LaunchError Rope(const RopeArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_QK_NORM_ROPE_H_
