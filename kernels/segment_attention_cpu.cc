#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/segment_attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/segment_attention_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Scores of one query to probabilities times their sum, in place: row[0, keys) becomes
// exp(scale·row − max), row[keys, columns) 0. Returns the log of Σ exp and sets *inv_sum.
float SoftmaxRow(float* row, int64_t keys, int64_t columns, float scale, float* inv_sum) {
  const D d;
  const int64_t lanes = Lanes();
  V max_lanes = hn::Set(d, row[0]);
  for (int64_t j = 0; j + lanes <= keys; j += lanes) {
    max_lanes = hn::Max(max_lanes, hn::LoadU(d, row + j));
  }
  float max = ReduceMax(max_lanes);
  for (int64_t j = keys / lanes * lanes; j < keys; ++j) max = HWY_MAX(max, row[j]);
  max *= scale;
  const V factor = hn::Set(d, scale), offset = hn::Set(d, max);
  V sum_lanes = hn::Zero(d);
  int64_t j = 0;
  for (; j + lanes <= keys; j += lanes) {
    const V p = Exp(hn::MulSub(hn::LoadU(d, row + j), factor, offset));
    hn::StoreU(p, d, row + j);
    sum_lanes = hn::Add(sum_lanes, p);
  }
  float sum = ReduceAdd(sum_lanes);
  if (j < keys) {
    const V p = Exp(hn::MulSub(LoadUpTo(row + j, keys - j), factor, offset));
    StoreUpTo(p, row + j, keys - j);
    for (; j < keys; ++j) sum += row[j];
  }
  for (; j < columns; ++j) row[j] = 0;
  *inv_sum = 1 / sum;
  return max + std::log(sum);
}

// Rows of unnormalised probabilities, then out of the rows of `out`.
void SoftmaxRows(float* scores, int64_t rows, int64_t columns, int64_t first_keys, float scale,
                 float* inv_sum, float* lse, int64_t lse_row) {
  for (int64_t r = 0; r < rows; ++r) {
    // Without causality every row has all keys.
    const int64_t keys = first_keys == 0 ? columns : first_keys + r;
    lse[r * lse_row] = SoftmaxRow(scores + r * columns, keys, columns, scale, inv_sum + r);
  }
}

void ScaleRows(float* out, int64_t rows, int64_t columns, int64_t stride, const float* factor) {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = out + r * stride;
    for (int64_t j = 0; j < columns; j += Lanes()) {
      StoreUpTo(hn::Mul(LoadUpTo(row + j, columns - j), hn::Set(D(), factor[r])), row + j,
                columns - j);
    }
  }
}

float RowDot(const float* a, const float* b, int64_t n) { return Dot(a, b, n); }

// p: scores to probabilities exp(scale·p − lse); dp: to scale·p·(dp − delta). Both [rows, columns].
void BackwardRows(float* p, float* dp, int64_t rows, int64_t columns, int64_t first_keys,
                  float scale, const float* lse, int64_t lse_row, const float* delta) {
  const D d;
  const V factor = hn::Set(d, scale);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t keys = first_keys == 0 ? columns : first_keys + r;
    float* p_row = p + r * columns;
    float* dp_row = dp + r * columns;
    const V offset = hn::Set(d, lse[r * lse_row]), center = hn::Set(d, delta[r]);
    int64_t j = 0;
    for (; j < keys; j += Lanes()) {
      const int64_t width = keys - j;
      const V probability = Exp(hn::MulSub(LoadUpTo(p_row + j, width), factor, offset));
      const V slope =
          hn::Mul(hn::Mul(probability, factor), hn::Sub(LoadUpTo(dp_row + j, width), center));
      StoreUpTo(probability, p_row + j, width);
      StoreUpTo(slope, dp_row + j, width);
    }
    for (j = keys; j < columns; ++j) p_row[j] = dp_row[j] = 0;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(SoftmaxRows);
HWY_EXPORT(ScaleRows);
HWY_EXPORT(RowDot);
HWY_EXPORT(BackwardRows);

// Queries of a segment taken at a time: the scores of a block are [kQueryBlock, keys].
constexpr int64_t kQueryBlock = 192;

// Segments that are not empty, the longest first, so that the last tasks are short ones.
std::vector<int64_t> LongestFirst(const int32_t* cu_seqlens, int64_t segments) {
  std::vector<int64_t> order;
  for (int64_t s = 0; s < segments; ++s) {
    if (cu_seqlens[s + 1] > cu_seqlens[s]) order.push_back(s);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return cu_seqlens[a + 1] - cu_seqlens[a] > cu_seqlens[b + 1] - cu_seqlens[b];
  });
  return order;
}

// C[m, n] = A·Bᵀ, C = A·B or C (+)= Aᵀ·B over row-major matrices with row strides.
enum class Product { kABt, kAB, kAtB };
void Multiply(Product product, int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride,
              const float* b, int64_t b_stride, float* c, int64_t c_stride,
              bool accumulate = false) {
  GemmArgs gemm;
  gemm.m = m;
  gemm.n = n;
  gemm.k = k;
  gemm.a = a;
  gemm.a_row = product == Product::kAtB ? 1 : a_stride;
  gemm.a_k = product == Product::kAtB ? a_stride : 1;
  gemm.b = b;
  gemm.b_k = product == Product::kABt ? 1 : b_stride;
  gemm.b_column = product == Product::kABt ? b_stride : 1;
  gemm.c = c;
  gemm.c_row = c_stride;
  gemm.accumulate = accumulate;
  Gemm(gemm);
}

void ForwardSegment(const SegmentAttentionForwardArgs& args, int64_t begin, int64_t end,
                    int64_t head) {
  const int64_t heads = args.heads, head_dim = args.head_dim, width = heads * head_dim;
  const int64_t stride = 3 * width;
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  const float* q = args.qkv + begin * stride + head * head_dim;
  const float* k = q + width;
  const float* v = k + width;
  float* out = args.out + begin * width + head * head_dim;
  float* lse = args.lse + begin * heads + head;
  const int64_t length = end - begin;
  float* scores = Scratch(ScratchUse::kAttention, kQueryBlock * (length + 1));
  float* inv_sum = scores + kQueryBlock * length;
  for (int64_t i = 0; i < length; i += kQueryBlock) {
    const int64_t rows = std::min(kQueryBlock, length - i);
    const int64_t keys = args.causal ? i + rows : length;
    Multiply(Product::kABt, rows, keys, head_dim, q + i * stride, stride, k, stride, scores, keys);
    HWY_DYNAMIC_DISPATCH(SoftmaxRows)
    (scores, rows, keys, args.causal ? i + 1 : 0, scale, inv_sum, lse + i * heads, heads);
    Multiply(Product::kAB, rows, head_dim, keys, scores, keys, v, stride, out + i * width, width);
    HWY_DYNAMIC_DISPATCH(ScaleRows)(out + i * width, rows, head_dim, width, inv_sum);
  }
}

// See _ref for the formulas.
void BackwardSegment(const SegmentAttentionBackwardArgs& args, int64_t begin, int64_t end,
                     int64_t head) {
  const int64_t heads = args.heads, head_dim = args.head_dim, width = heads * head_dim;
  const int64_t stride = 3 * width;
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  const float* q = args.qkv + begin * stride + head * head_dim;
  const float* k = q + width;
  const float* v = k + width;
  const float* out = args.out + begin * width + head * head_dim;
  const float* dout = args.dout + begin * width + head * head_dim;
  const float* lse = args.lse + begin * heads + head;
  float* dq = args.dqkv + begin * stride + head * head_dim;
  float* dk = dq + width;
  float* dv = dk + width;
  const int64_t length = end - begin;
  float* p = Scratch(ScratchUse::kAttention, kQueryBlock * (2 * length + 1));
  float* dp = p + kQueryBlock * length;
  float* delta = dp + kQueryBlock * length;
  for (int64_t i = 0; i < length; i += kQueryBlock) {
    const int64_t rows = std::min(kQueryBlock, length - i);
    const int64_t keys = args.causal ? i + rows : length;
    const float* q_block = q + i * stride;
    const float* dout_block = dout + i * width;
    for (int64_t r = 0; r < rows; ++r) {
      delta[r] =
          HWY_DYNAMIC_DISPATCH(RowDot)(out + (i + r) * width, dout_block + r * width, head_dim);
    }
    Multiply(Product::kABt, rows, keys, head_dim, q_block, stride, k, stride, p, keys);
    Multiply(Product::kABt, rows, keys, head_dim, dout_block, width, v, stride, dp, keys);
    HWY_DYNAMIC_DISPATCH(BackwardRows)
    (p, dp, rows, keys, args.causal ? i + 1 : 0, scale, lse + i * heads, heads, delta);
    Multiply(Product::kAB, rows, head_dim, keys, dp, keys, k, stride, dq + i * stride, stride);
    const auto gradient_of_keys = [&](int64_t from, int64_t to, bool accumulate) {
      Multiply(Product::kAtB, to - from, head_dim, rows, p + from, keys, dout_block, width,
               dv + from * stride, stride, accumulate);
      Multiply(Product::kAtB, to - from, head_dim, rows, dp + from, keys, q_block, stride,
               dk + from * stride, stride, accumulate);
    };
    // A causal block adds to the keys before it and is the first to write its own.
    const int64_t seen = args.causal ? i : (i == 0 ? 0 : keys);
    if (seen > 0) gradient_of_keys(0, seen, /*accumulate=*/true);
    if (seen < keys) gradient_of_keys(seen, keys, /*accumulate=*/false);
  }
}

}  // namespace

void SegmentAttentionForward(const SegmentAttentionForwardArgs& args, ThreadPool& pool) {
  const std::vector<int64_t> order = LongestFirst(args.cu_seqlens, args.segments);
  pool.ParallelTasks(static_cast<int64_t>(order.size()) * args.heads, [&](int64_t task) {
    const int64_t s = order[task / args.heads];
    ForwardSegment(args, args.cu_seqlens[s], args.cu_seqlens[s + 1], task % args.heads);
  });
  const int64_t used = args.cu_seqlens[args.segments], width = args.heads * args.head_dim;
  std::fill(args.out + used * width, args.out + args.tokens * width, 0.0f);
  std::fill(args.lse + used * args.heads, args.lse + args.tokens * args.heads, 0.0f);
}

void SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args, ThreadPool& pool) {
  const std::vector<int64_t> order = LongestFirst(args.cu_seqlens, args.segments);
  pool.ParallelTasks(static_cast<int64_t>(order.size()) * args.heads, [&](int64_t task) {
    const int64_t s = order[task / args.heads];
    BackwardSegment(args, args.cu_seqlens[s], args.cu_seqlens[s + 1], task % args.heads);
  });
  const int64_t used = args.cu_seqlens[args.segments], stride = 3 * args.heads * args.head_dim;
  std::fill(args.dqkv + used * stride, args.dqkv + args.tokens * stride, 0.0f);
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
