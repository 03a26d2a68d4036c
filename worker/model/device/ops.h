// The operations of cpu_ops.h on a GPU: activations and their gradients are bf16, parameters,
// their gradients and statistics fp32; sums are fp32. What a shape or an option has no kernel for
// leaves Unimplemented in the context, and names it.
#ifndef NAVIT_WORKER_MODEL_DEVICE_OPS_H_
#define NAVIT_WORKER_MODEL_DEVICE_OPS_H_

#include <cstdint>

#include "kernels/cuda/l2_normalize.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/layer_scale.h"
#include "kernels/cuda/patch_normalize.h"
#include "kernels/cuda/qk_norm_rope.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/segment_pool.h"
#include "worker/model/device/batch.h"
#include "worker/model/device/context.h"

namespace navit {

struct DeviceOps {
  using Value = kernels::cuda::Bf16;
  using Context = DeviceContext;
  using Segments = DeviceSegments;
  using Batch = DeviceBatch;

  class Prefixed {
   public:
    Prefixed(const Segments& segments, int64_t prefix_tokens)
        : segments_(prefix_tokens > 0 ? *segments.with_prefix : segments) {}
    operator Segments() const { return segments_; }

   private:
    const Segments& segments_;
  };

  static const uint8_t* Patches(const Batch& batch) { return batch.patches; }
  static const Value* AsValue(const float* parameter, Context& context) {
    return context.Weight(parameter);
  }
  static void Copy(int64_t count, const Value* from, Value* to, Context& context);
  static void FillZero(int64_t count, float* values, Context& context);
  static void ToFloats(int64_t count, const Value* from, float* to, Context& context);
  static void ToValues(int64_t count, const float* from, Value* to, Context& context);
  static void AddToFloats(int64_t count, const Value* from, float* to, Context& context);

  using PatchNormalizeArgs = kernels::cuda::PatchNormalizeArgs;
  static void PatchNormalize(const PatchNormalizeArgs& args, Context& context);

  struct EmbeddingForwardArgs {
    int64_t tokens = 0, segments = 0, dim = 0, vocabulary = 0, max_positions = 0;
    const DeviceText* ids = nullptr;
    const Segments* cu_seqlens = nullptr;
    const float* token_table = nullptr;
    const float* position_table = nullptr;
    Value* y = nullptr;
  };
  struct EmbeddingBackwardArgs {
    int64_t tokens = 0, segments = 0, dim = 0, vocabulary = 0, max_positions = 0;
    const DeviceText* ids = nullptr;
    const Segments* cu_seqlens = nullptr;
    const Value* dy = nullptr;
    float* dtoken_table = nullptr;
    float* dposition_table = nullptr;
  };
  static void EmbeddingForward(const EmbeddingForwardArgs& args, Context& context);
  static void EmbeddingBackward(const EmbeddingBackwardArgs& args, Context& context);
  // dtable += what `scatter` selects of dy.
  static void Scatter(const DeviceScatter& scatter, int64_t dim, const Value* dy, int64_t dy_stride,
                      float* dtable, Context& context);

  struct LinearForwardArgs {
    int64_t rows = 0, in = 0, out = 0;
    const Value* x = nullptr;
    const float* weight = nullptr;
    const float* bias = nullptr;
    Value* y = nullptr;
    bool accumulate = false;
  };
  struct LinearBackwardInputArgs {
    int64_t rows = 0, in = 0, out = 0;
    const Value* dy = nullptr;
    const float* weight = nullptr;
    Value* dx = nullptr;
    bool accumulate = false;
  };
  struct LinearBackwardWeightArgs {
    int64_t rows = 0, in = 0, out = 0;
    const Value* x = nullptr;
    const Value* dy = nullptr;
    float* dweight = nullptr;
    float* dbias = nullptr;
  };
  static void LinearForward(const LinearForwardArgs& args, Context& context);
  static void LinearBackwardInput(const LinearBackwardInputArgs& args, Context& context);
  static void LinearBackwardWeight(const LinearBackwardWeightArgs& args, Context& context);

  // The tanh form is fused into the products, and `hidden` is GELU's argument. The form with erf,
  // and layers that padded_linear.h computes, take passes of their own, and `hidden` is without the
  // bias.
  struct LinearGeluForwardArgs {
    int64_t rows = 0, in = 0, out = 0;
    const Value* x = nullptr;
    const float* weight = nullptr;
    const float* bias = nullptr;
    Value* hidden = nullptr;
    Value* y = nullptr;
    bool erf = false;
  };
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
  static void LinearGeluForward(const LinearGeluForwardArgs& args, Context& context);
  static void LinearGeluBackward(const LinearGeluBackwardArgs& args, Context& context);

  static void RmsNormForward(const kernels::cuda::RmsNormForwardArgs& args, Context& context);
  static void RmsNormBackward(kernels::cuda::RmsNormBackwardArgs args, Context& context);
  static void LayerNormForward(const kernels::cuda::LayerNormForwardArgs& args, Context& context);
  static void LayerNormBackward(kernels::cuda::LayerNormBackwardArgs args, Context& context);
  static void LayerScaleForward(const kernels::cuda::LayerScaleForwardArgs& args, Context& context);
  static void LayerScaleBackward(kernels::cuda::LayerScaleBackwardArgs args, Context& context);
  static void L2NormalizeForward(const kernels::cuda::L2NormalizeForwardArgs& args,
                                 Context& context);
  static void L2NormalizeBackward(const kernels::cuda::L2NormalizeBackwardArgs& args,
                                  Context& context);
  static void QkNormRopeForward(const kernels::cuda::QkNormRopeForwardArgs& args, Context& context);
  static void QkNormRopeBackward(kernels::cuda::QkNormRopeBackwardArgs args, Context& context);

  struct SegmentAttentionForwardArgs {
    int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
    bool causal = false;
    const Segments* cu_seqlens = nullptr;
    const Value* qkv = nullptr;
    Value* out = nullptr;
    float* lse = nullptr;
  };
  struct SegmentAttentionBackwardArgs {
    int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
    bool causal = false;
    const Segments* cu_seqlens = nullptr;
    const Value* qkv = nullptr;
    const Value* out = nullptr;
    const float* lse = nullptr;
    const Value* dout = nullptr;
    Value* dqkv = nullptr;
  };
  static void SegmentAttentionForward(const SegmentAttentionForwardArgs& args, Context& context);
  static void SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args, Context& context);

  struct MapPoolAttentionForwardArgs {
    int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
    const Segments* cu_seqlens = nullptr;
    const float* query = nullptr;
    const Value* kv = nullptr;
    Value* pooled = nullptr;
    float* lse = nullptr;
  };
  struct MapPoolAttentionBackwardArgs {
    int64_t tokens = 0, segments = 0, heads = 0, head_dim = 0;
    const Segments* cu_seqlens = nullptr;
    const float* query = nullptr;
    const Value* kv = nullptr;
    const Value* pooled = nullptr;
    const float* lse = nullptr;
    const Value* dpooled = nullptr;
    Value* dkv = nullptr;
    float* dquery = nullptr;
  };
  static void MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args, Context& context);
  static void MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args, Context& context);

  struct SegmentPoolForwardArgs {
    int64_t tokens = 0, segments = 0, dim = 0;
    kernels::SegmentPoolKind kind = kernels::SegmentPoolKind::kMean;
    const Segments* cu_seqlens = nullptr;
    const Value* x = nullptr;
    Value* pooled = nullptr;
  };
  struct SegmentPoolBackwardArgs {
    int64_t tokens = 0, segments = 0, dim = 0;
    kernels::SegmentPoolKind kind = kernels::SegmentPoolKind::kMean;
    const Segments* cu_seqlens = nullptr;
    const Value* x = nullptr;
    const Value* dpooled = nullptr;
    Value* dx = nullptr;
  };
  static void SegmentPoolForward(const SegmentPoolForwardArgs& args, Context& context);
  static void SegmentPoolBackward(const SegmentPoolBackwardArgs& args, Context& context);

  struct InsertPrefixArgs {
    int64_t segments = 0, prefix_tokens = 0, dim = 0;
    const Segments* cu_seqlens = nullptr;
    const Value* x = nullptr;
    const float* prefix = nullptr;
    Value* y = nullptr;
  };
  struct RemovePrefixArgs {
    int64_t segments = 0, prefix_tokens = 0, dim = 0;
    const Segments* cu_seqlens = nullptr;
    const Value* y = nullptr;
    Value* x = nullptr;
    float* dprefix = nullptr;
  };
  static void InsertPrefix(const InsertPrefixArgs& args, Context& context);
  static void RemovePrefix(const RemovePrefixArgs& args, Context& context);

 private:
  static void Missing(absl::string_view what, Context& context);
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_OPS_H_
