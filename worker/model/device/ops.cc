#include "worker/model/device/ops.h"

#include "absl/strings/str_cat.h"
#include "kernels/cuda/bias_gelu.h"
#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/head_dims.h"
#include "kernels/cuda/map_pool_attention.h"
#include "kernels/cuda/prefix_tokens.h"
#include "kernels/cuda/scatter_rows.h"
#include "kernels/cuda/segment_attention.h"
#include "kernels/cuda/segment_pool.h"
#include "worker/model/device/padded_linear.h"

namespace navit {

namespace cuda = kernels::cuda;

namespace {

float* SumPartial(int64_t rows, int64_t dim, DeviceContext& context) {
  return context.Scratch<float>(cuda::ColumnSumSlabs(rows) * dim);
}

// sum [dim] += column sums of a [rows, dim].
void SumColumns(int64_t rows, int64_t dim, const cuda::Bf16* a, float* sum,
                DeviceContext& context) {
  float* const partial = SumPartial(rows, dim, context);
  context.Run("column sum", cuda::ColumnSum,
              {.rows = rows, .dim = dim, .a = a, .sum = sum, .partial = partial});
}

// Null angles turn nothing.
void Rotate(int64_t tokens, int64_t heads, int64_t head_dim, const float* cos_sin, cuda::Bf16* qkv,
            bool inverse, DeviceContext& context) {
  if (cos_sin == nullptr) return;
  context.Run("RoPE", cuda::Rope,
              {.tokens = tokens,
               .heads = heads,
               .head_dim = head_dim,
               .cos_sin = cos_sin,
               .qkv = qkv,
               .inverse = inverse});
}

}  // namespace

void DeviceOps::Missing(absl::string_view what, Context& context) {
  context.Keep(absl::UnimplementedError(absl::StrCat(what, " has no kernel on a GPU yet")));
}

void DeviceOps::Copy(int64_t count, const Value* from, Value* to, Context& context) {
  if (!context.ok()) return;
  context.Keep(context.device()->Copy(to, from, count * sizeof(Value), context.stream()));
}

void DeviceOps::FillZero(int64_t count, float* values, Context& context) {
  if (!context.ok()) return;
  context.Keep(context.device()->FillZero(values, count * sizeof(float), context.stream()));
}

void DeviceOps::ToFloats(int64_t count, const Value* from, float* to, Context& context) {
  FillZero(count, to, context);
  AddToFloats(count, from, to, context);
}

void DeviceOps::ToValues(int64_t count, const float* from, Value* to, Context& context) {
  context.Run("rounding", cuda::Round, {count, from, to});
}

void DeviceOps::AddToFloats(int64_t count, const Value* from, float* to, Context& context) {
  SumColumns(1, count, from, to, context);
}

void DeviceOps::PatchNormalize(const PatchNormalizeArgs& args, Context& context) {
  context.Run("patch normalisation", cuda::PatchNormalize, args);
}

void DeviceOps::EmbeddingForward(const EmbeddingForwardArgs& args, Context& context) {
  context.Run("embedding", cuda::EmbeddingForward,
              {.tokens = args.tokens,
               .used_tokens = args.tokens,
               .dim = args.dim,
               .ids = args.ids->ids,
               .place = args.ids->place,
               .token_table = args.token_table,
               .position_table = args.position_table,
               .y = args.y});
}

void DeviceOps::EmbeddingBackward(const EmbeddingBackwardArgs& args, Context& context) {
  Scatter(args.ids->tokens, args.dim, args.dy, args.dim, args.dtoken_table, context);
  Scatter(args.ids->positions, args.dim, args.dy, args.dim, args.dposition_table, context);
}

void DeviceOps::Scatter(const DeviceScatter& scatter, int64_t dim, const Value* dy,
                        int64_t dy_stride, float* dtable, Context& context) {
  context.Run("gradient of a table", cuda::ScatterRows,
              {.rows = scatter.rows,
               .dim = dim,
               .row = scatter.row,
               .selection = scatter.selection,
               .dy = dy,
               .dy_stride = dy_stride,
               .dtable = dtable});
}

void DeviceOps::LinearForward(const LinearForwardArgs& args, Context& context) {
  if (!context.ok()) return;
  if (!HasWholeUnits(args.in, args.out)) return PaddedLinearForward(args, context);
  context.Keep("linear layer", context.engine()->Forward({.rows = args.rows,
                                                          .in = args.in,
                                                          .out = args.out,
                                                          .x = args.x,
                                                          .weight = context.Weight(args.weight),
                                                          .bias = context.Weight(args.bias),
                                                          .y = args.y,
                                                          .accumulate = args.accumulate},
                                                         context.stream()));
}

void DeviceOps::LinearBackwardInput(const LinearBackwardInputArgs& args, Context& context) {
  if (!context.ok()) return;
  if (!HasWholeUnits(args.in, args.out)) return PaddedLinearBackwardInput(args, context);
  context.Keep("gradient of a linear layer's input",
               context.engine()->BackwardInput({.rows = args.rows,
                                                .in = args.in,
                                                .out = args.out,
                                                .dy = args.dy,
                                                .weight = context.Weight(args.weight),
                                                .dx = args.dx,
                                                .accumulate = args.accumulate},
                                               context.stream()));
}

void DeviceOps::LinearBackwardWeight(const LinearBackwardWeightArgs& args, Context& context) {
  if (!context.ok()) return;
  if (HasWholeUnits(args.in, args.out)) {
    context.Keep("gradient of a linear layer's weight",
                 context.engine()->BackwardWeight({.rows = args.rows,
                                                   .in = args.in,
                                                   .out = args.out,
                                                   .x = args.x,
                                                   .dy = args.dy,
                                                   .dweight = args.dweight},
                                                  context.stream()));
  } else {
    PaddedLinearBackwardWeight(args, context);
  }
  if (args.dbias != nullptr) SumColumns(args.rows, args.out, args.dy, args.dbias, context);
}

void DeviceOps::LinearGeluForward(const LinearGeluForwardArgs& args, Context& context) {
  if (!context.ok()) return;
  if (args.erf || !HasWholeUnits(args.in, args.out)) {
    LinearForward({.rows = args.rows,
                   .in = args.in,
                   .out = args.out,
                   .x = args.x,
                   .weight = args.weight,
                   .y = args.hidden},
                  context);
    return context.Run("GELU", cuda::BiasGeluForward,
                       {.rows = args.rows,
                        .dim = args.out,
                        .x = args.hidden,
                        .bias = args.bias,
                        .y = args.y,
                        .erf = args.erf});
  }
  context.Keep("linear layer with GELU",
               context.engine()->Forward({.rows = args.rows,
                                          .in = args.in,
                                          .out = args.out,
                                          .x = args.x,
                                          .weight = context.Weight(args.weight),
                                          .bias = context.Weight(args.bias),
                                          .y = args.y,
                                          .pre_gelu = args.hidden},
                                         context.stream()));
}

void DeviceOps::LinearGeluBackward(const LinearGeluBackwardArgs& args, Context& context) {
  if (!context.ok()) return;
  if (args.erf || !HasWholeUnits(args.in, args.out)) {
    LinearBackwardInput({.rows = args.rows,
                         .in = args.in,
                         .out = args.out,
                         .dy = args.dy,
                         .weight = args.weight,
                         .dx = args.dhidden},
                        context);
    return context.Run("gradient of GELU", cuda::BiasGeluBackward,
                       {.rows = args.rows,
                        .dim = args.in,
                        .x = args.hidden,
                        .bias = args.bias,
                        .dy = args.dhidden,
                        .dx = args.dhidden,
                        .dbias = args.dbias,
                        .partial = SumPartial(args.rows, args.in, context),
                        .erf = args.erf});
  }
  context.Keep("gradient of a linear layer's input and GELU",
               context.engine()->BackwardInput({.rows = args.rows,
                                                .in = args.in,
                                                .out = args.out,
                                                .dy = args.dy,
                                                .weight = context.Weight(args.weight),
                                                .dx = args.dhidden,
                                                .pre_gelu = args.hidden},
                                               context.stream()));
  SumColumns(args.rows, args.in, args.dhidden, args.dbias, context);
}

void DeviceOps::RmsNormForward(const cuda::RmsNormForwardArgs& args, Context& context) {
  context.Run("RMSNorm", cuda::RmsNormForward, args);
}

void DeviceOps::RmsNormBackward(cuda::RmsNormBackwardArgs args, Context& context) {
  args.partial = SumPartial(args.rows, args.dim, context);
  context.Run("gradient of RMSNorm", cuda::RmsNormBackward, args);
}

void DeviceOps::LayerNormForward(const cuda::LayerNormForwardArgs& args, Context& context) {
  context.Run("LayerNorm", cuda::LayerNormForward, args);
}

void DeviceOps::LayerNormBackward(cuda::LayerNormBackwardArgs args, Context& context) {
  args.partial = SumPartial(args.rows, 2 * args.dim, context);
  context.Run("gradient of LayerNorm", cuda::LayerNormBackward, args);
}

void DeviceOps::LayerScaleForward(const cuda::LayerScaleForwardArgs& args, Context& context) {
  context.Run("LayerScale", cuda::LayerScaleForward, args);
}

void DeviceOps::LayerScaleBackward(cuda::LayerScaleBackwardArgs args, Context& context) {
  args.partial = SumPartial(args.rows, args.dim, context);
  context.Run("gradient of LayerScale", cuda::LayerScaleBackward, args);
}

void DeviceOps::L2NormalizeForward(const cuda::L2NormalizeForwardArgs& args, Context& context) {
  context.Run("L2 norm", cuda::L2NormalizeForward, args);
}

void DeviceOps::L2NormalizeBackward(const cuda::L2NormalizeBackwardArgs& args, Context& context) {
  context.Run("gradient of the L2 norm", cuda::L2NormalizeBackward, args);
}

void DeviceOps::QkNormRopeForward(const cuda::QkNormRopeForwardArgs& args, Context& context) {
  if (!context.ok()) return;
  if (args.q_gain == nullptr) {
    // Without the norm `normed` is qkv.
    return Rotate(args.tokens, args.heads, args.head_dim, args.cos_sin, args.normed,
                  /*inverse=*/false, context);
  }
  context.Run("QK-norm", cuda::QkNormRopeForward, args);
}

void DeviceOps::QkNormRopeBackward(cuda::QkNormRopeBackwardArgs args, Context& context) {
  if (args.q_gain == nullptr) {
    return Rotate(args.tokens, args.heads, args.head_dim, args.cos_sin, args.dqkv,
                  /*inverse=*/true, context);
  }
  args.partial = context.Scratch<float>(2 * cuda::QkNormSlabs(args.tokens) * args.head_dim);
  context.Run("gradient of QK-norm", cuda::QkNormRopeBackward, args);
}

void DeviceOps::SegmentAttentionForward(const SegmentAttentionForwardArgs& args, Context& context) {
  if (!context.ok()) return;
  if (!cuda::HasHeadDim(args.head_dim)) {
    return Missing(absl::StrCat("attention with heads of ", args.head_dim), context);
  }
  context.Run("attention", cuda::SegmentAttentionForward,
              {.tokens = args.tokens,
               .heads = args.heads,
               .head_dim = args.head_dim,
               .causal = args.causal,
               .work = args.cu_seqlens->attention,
               .qkv = args.qkv,
               .out = args.out,
               .lse = args.lse});
}

void DeviceOps::SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args,
                                         Context& context) {
  float* const delta = context.Scratch<float>(args.tokens * args.heads);
  context.Run("gradient of attention", cuda::SegmentAttentionBackward,
              {.tokens = args.tokens,
               .heads = args.heads,
               .head_dim = args.head_dim,
               .causal = args.causal,
               .work = args.cu_seqlens->attention,
               .qkv = args.qkv,
               .out = args.out,
               .lse = args.lse,
               .dout = args.dout,
               .dqkv = args.dqkv,
               .delta = delta});
}

void DeviceOps::MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args, Context& context) {
  context.Run("attention pooling", cuda::MapPoolAttentionForward,
              {.tokens = args.tokens,
               .pooled_rows = args.segments,
               .heads = args.heads,
               .head_dim = args.head_dim,
               .segment = args.cu_seqlens->ranges,
               .query = args.query,
               .kv = args.kv,
               .pooled = args.pooled,
               .lse = args.lse});
}

void DeviceOps::MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args,
                                         Context& context) {
  float* const partial = context.Scratch<float>(args.segments * args.heads * args.head_dim);
  context.Run("gradient of attention pooling", cuda::MapPoolAttentionBackward,
              {.tokens = args.tokens,
               .used_tokens = args.tokens,
               .pooled_rows = args.segments,
               .heads = args.heads,
               .head_dim = args.head_dim,
               .segment = args.cu_seqlens->ranges,
               .query = args.query,
               .kv = args.kv,
               .pooled = args.pooled,
               .lse = args.lse,
               .dpooled = args.dpooled,
               .dkv = args.dkv,
               .dquery = args.dquery,
               .partial = partial});
}

void DeviceOps::SegmentPoolForward(const SegmentPoolForwardArgs& args, Context& context) {
  context.Run("pooling", cuda::SegmentPoolForward,
              {.tokens = args.tokens,
               .segments = args.segments,
               .dim = args.dim,
               .kind = args.kind,
               .cu_seqlens = args.cu_seqlens->cu_seqlens,
               .x = args.x,
               .pooled = args.pooled});
}

void DeviceOps::SegmentPoolBackward(const SegmentPoolBackwardArgs& args, Context& context) {
  context.Run("gradient of pooling", cuda::SegmentPoolBackward,
              {.tokens = args.tokens,
               .used_tokens = args.tokens,
               .segments = args.segments,
               .dim = args.dim,
               .kind = args.kind,
               .cu_seqlens = args.cu_seqlens->cu_seqlens,
               .x = args.x,
               .dpooled = args.dpooled,
               .dx = args.dx});
}

void DeviceOps::InsertPrefix(const InsertPrefixArgs& args, Context& context) {
  const int64_t tokens = args.cu_seqlens->tokens;
  context.Run("prefix tokens", cuda::InsertPrefix,
              {.y_tokens = tokens + args.segments * args.prefix_tokens,
               .used_tokens = tokens,
               .segments = args.segments,
               .prefix_tokens = args.prefix_tokens,
               .dim = args.dim,
               .cu_seqlens = args.cu_seqlens->cu_seqlens,
               .x = args.x,
               .prefix = args.prefix,
               .y = args.y});
}

void DeviceOps::RemovePrefix(const RemovePrefixArgs& args, Context& context) {
  const int64_t tokens = args.cu_seqlens->tokens;
  float* const partial =
      context.Scratch<float>(cuda::PrefixSlabs(args.segments) * args.prefix_tokens * args.dim);
  context.Run("gradient of prefix tokens", cuda::RemovePrefix,
              {.x_tokens = tokens,
               .used_tokens = tokens,
               .segments = args.segments,
               .prefix_tokens = args.prefix_tokens,
               .dim = args.dim,
               .cu_seqlens = args.cu_seqlens->cu_seqlens,
               .y = args.y,
               .x = args.x,
               .dprefix = args.dprefix,
               .partial = partial});
}

}  // namespace navit
