// QK-norm (ViT-22B, arXiv 2302.05442): RMSNorm over each head of q and of k inside a packed QKV
// buffer. The usual 1/√head_dim of attention still follows.
#ifndef NAVIT_KERNELS_QK_NORM_H_
#define NAVIT_KERNELS_QK_NORM_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// qkv, normed   [tokens, 3, heads, head_dim]  q, k, v; v is copied
// q_gain, k_gain [head_dim]                   shared by the heads
// inv_rms       [tokens, 2, heads]            of q and k, saved for the backward pass
// normed may alias qkv: v stays in place (then there is no backward pass).
// Tolerance of _cpu against _ref: 1e-5 relative.
struct QkNormForwardArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  float eps = 1e-6f;
  const float* qkv = nullptr;
  const float* q_gain = nullptr;
  const float* k_gain = nullptr;
  float* normed = nullptr;
  float* inv_rms = nullptr;  // null: not saved
};

// dqkv holds the gradient with respect to `normed` and is replaced by the one with respect to
// `qkv`; its v part is not touched. dq_gain, dk_gain [head_dim] are added to, in an order that
// depends on `tokens` and `heads` only.
struct QkNormBackwardArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  const float* qkv = nullptr;  // the input of the forward pass
  const float* q_gain = nullptr;
  const float* k_gain = nullptr;
  const float* inv_rms = nullptr;
  float* dqkv = nullptr;
  float* dq_gain = nullptr;
  float* dk_gain = nullptr;
};

void QkNormForward(const QkNormForwardArgs& args, ThreadPool& pool);
void QkNormBackward(const QkNormBackwardArgs& args, ThreadPool& pool);

namespace ref {
void QkNormForward(const QkNormForwardArgs& args);
void QkNormBackward(const QkNormBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_QK_NORM_H_
