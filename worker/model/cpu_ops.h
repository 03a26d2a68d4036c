// What the model's code asks of a machine, answered by the CPU. The towers are templates over such
// a set of operations; device_ops.h is that of a GPU.
//
//   Value        of activations and their gradients
//   Context      what operations run on
//   Segments     cumulative lengths of the segments of a batch
//   Batch        examples where the operations read them
//   Prefixed     Segments with prefix tokens in front of each
// Parameters, their gradients and statistics of rows are float everywhere. Operations take the
// arguments of kernels/, with Value in place of float.
#ifndef NAVIT_WORKER_MODEL_CPU_OPS_H_
#define NAVIT_WORKER_MODEL_CPU_OPS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/types/span.h"
#include "kernels/bias_gelu.h"
#include "kernels/embedding.h"
#include "kernels/l2_normalize.h"
#include "kernels/layer_norm.h"
#include "kernels/layer_scale.h"
#include "kernels/linear.h"
#include "kernels/map_pool_attention.h"
#include "kernels/patch_normalize.h"
#include "kernels/prefix_tokens.h"
#include "kernels/qk_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/segment_attention.h"
#include "kernels/segment_pool.h"
#include "kernels/thread_pool.h"
#include "worker/model/batch.h"

namespace navit {

// Cumulative lengths of segments that have `prefix_tokens` more tokens each.
std::vector<int32_t> WithPrefix(absl::Span<const int32_t> cu_seqlens, int64_t prefix_tokens);

struct CpuOps {
  using Value = float;
  using Context = kernels::ThreadPool;
  using Segments = absl::Span<const int32_t>;
  using Batch = navit::Batch;

  class Prefixed {
   public:
    Prefixed(Segments cu_seqlens, int64_t prefix_tokens)
        : longer_(WithPrefix(cu_seqlens, prefix_tokens)) {}
    operator Segments() const { return longer_; }

   private:
    std::vector<int32_t> longer_;
  };

  using PatchNormalizeArgs = kernels::PatchNormalizeArgs;

  static const uint8_t* Patches(const Batch& batch) {
    return reinterpret_cast<const uint8_t*>(batch.patches.data());
  }
  // A parameter as the input of a layer.
  static const Value* AsValue(const float* parameter, Context&) { return parameter; }
  static void Copy(int64_t count, const Value* from, Value* to, Context&) {
    std::memcpy(to, from, count * sizeof(Value));
  }
  static void FillZero(int64_t count, float* values, Context&) { std::fill_n(values, count, 0.0f); }

  // Between Value and float.
  static void ToFloats(int64_t count, const Value* from, float* to, Context& pool) {
    Copy(count, from, to, pool);
  }
  static void ToValues(int64_t count, const float* from, Value* to, Context& pool) {
    Copy(count, from, to, pool);
  }
  static void AddToFloats(int64_t count, const Value* from, float* to, Context&) {
    for (int64_t i = 0; i < count; ++i) to[i] += from[i];
  }

  // RMSNorm of the heads of q and k, if there are gains, then their rotation, if there are angles.
  struct QkNormRopeForwardArgs {
    int64_t tokens = 0, heads = 0, head_dim = 0;
    const Value* qkv = nullptr;
    const float* q_gain = nullptr;  // null: no norm, `normed` is qkv
    const float* k_gain = nullptr;
    const float* cos_sin = nullptr;  // null: no rotation
    Value* normed = nullptr;
    float* inv_rms = nullptr;
  };
  struct QkNormRopeBackwardArgs {
    int64_t tokens = 0, heads = 0, head_dim = 0;
    const Value* qkv = nullptr;
    const float* q_gain = nullptr;
    const float* k_gain = nullptr;
    const float* cos_sin = nullptr;
    const float* inv_rms = nullptr;
    Value* dqkv = nullptr;
    float* dq_gain = nullptr;
    float* dk_gain = nullptr;
  };
  static void QkNormRopeForward(const QkNormRopeForwardArgs& args, Context& pool);
  static void QkNormRopeBackward(const QkNormRopeBackwardArgs& args, Context& pool);
  static void LinearForward(const kernels::LinearForwardArgs& args, Context& pool) {
    kernels::LinearForward(args, pool);
  }
  static void LinearBackwardInput(const kernels::LinearBackwardInputArgs& args, Context& pool) {
    kernels::LinearBackwardInput(args, pool);
  }
  static void LinearBackwardWeight(const kernels::LinearBackwardWeightArgs& args, Context& pool) {
    kernels::LinearBackwardWeight(args, pool);
  }

  // y = gelu(x·Wᵀ + bias), weight W [out, in], bias [out], x [rows, in], y [rows, out]. `hidden`
  // [rows, out] takes what the backward pass needs of GELU's argument: here without the bias.
  struct LinearGeluForwardArgs {
    int64_t rows = 0, in = 0, out = 0;
    const Value* x = nullptr;
    const float* weight = nullptr;
    const float* bias = nullptr;
    Value* hidden = nullptr;
    Value* y = nullptr;
    bool erf = false;
  };
  // Back through the layer behind that GELU, weight W [out, in], and GELU itself: dhidden =
  // (dy·W)·gelu', the gradient of GELU's argument, assigned; dbias [in] += its column sums. hidden,
  // bias and erf are those of LinearGeluForward, whose `out` is this `in`. dy [rows, out], hidden,
  // dhidden [rows, in].
  struct LinearGeluBackwardArgs {
    int64_t rows = 0, in = 0, out = 0;
    const Value* dy = nullptr;
    const float* weight = nullptr;
    const Value* hidden = nullptr;
    const float* bias = nullptr;
    Value* dhidden = nullptr;
    float* dbias = nullptr;
    bool erf = false;
  };
  static void LinearGeluForward(const LinearGeluForwardArgs& args, Context& pool);
  static void LinearGeluBackward(const LinearGeluBackwardArgs& args, Context& pool);

  static void RmsNormForward(const kernels::RmsNormForwardArgs& args, Context& pool) {
    kernels::RmsNormForward(args, pool);
  }
  static void RmsNormBackward(const kernels::RmsNormBackwardArgs& args, Context& pool) {
    kernels::RmsNormBackward(args, pool);
  }
  static void LayerNormForward(const kernels::LayerNormForwardArgs& args, Context& pool) {
    kernels::LayerNormForward(args, pool);
  }
  static void LayerNormBackward(const kernels::LayerNormBackwardArgs& args, Context& pool) {
    kernels::LayerNormBackward(args, pool);
  }
  static void LayerScaleForward(const kernels::LayerScaleForwardArgs& args, Context& pool) {
    kernels::LayerScaleForward(args, pool);
  }
  static void LayerScaleBackward(const kernels::LayerScaleBackwardArgs& args, Context& pool) {
    kernels::LayerScaleBackward(args, pool);
  }
  static void SegmentAttentionForward(const kernels::SegmentAttentionForwardArgs& args,
                                      Context& pool) {
    kernels::SegmentAttentionForward(args, pool);
  }
  static void SegmentAttentionBackward(const kernels::SegmentAttentionBackwardArgs& args,
                                       Context& pool) {
    kernels::SegmentAttentionBackward(args, pool);
  }
  static void MapPoolAttentionForward(const kernels::MapPoolAttentionForwardArgs& args,
                                      Context& pool) {
    kernels::MapPoolAttentionForward(args, pool);
  }
  static void MapPoolAttentionBackward(const kernels::MapPoolAttentionBackwardArgs& args,
                                       Context& pool) {
    kernels::MapPoolAttentionBackward(args, pool);
  }
  static void SegmentPoolForward(const kernels::SegmentPoolForwardArgs& args, Context& pool) {
    kernels::SegmentPoolForward(args, pool);
  }
  static void SegmentPoolBackward(const kernels::SegmentPoolBackwardArgs& args, Context& pool) {
    kernels::SegmentPoolBackward(args, pool);
  }
  static void L2NormalizeForward(const kernels::L2NormalizeForwardArgs& args, Context& pool) {
    kernels::L2NormalizeForward(args, pool);
  }
  static void L2NormalizeBackward(const kernels::L2NormalizeBackwardArgs& args, Context& pool) {
    kernels::L2NormalizeBackward(args, pool);
  }
  static void InsertPrefix(const kernels::InsertPrefixArgs& args, Context& pool) {
    kernels::InsertPrefix(args, pool);
  }
  static void RemovePrefix(const kernels::RemovePrefixArgs& args, Context& pool) {
    kernels::RemovePrefix(args, pool);
  }
  static void PatchNormalize(const kernels::PatchNormalizeArgs& args, Context& pool) {
    kernels::PatchNormalize(args, pool);
  }
  static void EmbeddingForward(const kernels::EmbeddingForwardArgs& args, Context& pool) {
    kernels::EmbeddingForward(args, pool);
  }
  static void EmbeddingBackward(const kernels::EmbeddingBackwardArgs& args, Context& pool) {
    kernels::EmbeddingBackward(args, pool);
  }
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CPU_OPS_H_
