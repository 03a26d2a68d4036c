#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/scratch.h"
#include "kernels/segment_attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/segment_attention_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/packed_product-inl.h"
#include "kernels/simd-inl.h"

#ifndef NAVIT_KERNELS_SEGMENT_ATTENTION_BLOCKS_
#define NAVIT_KERNELS_SEGMENT_ATTENTION_BLOCKS_
namespace navit::kernels {

// Queries of a segment taken at a time: the scores of a block are [kQueryBlock, keys].
constexpr int64_t kQueryBlock = 192;
// Keys whose probabilities are packed at a time for the gradients of keys and values.
constexpr int64_t kKeyBlock = 96;

// One buffer of the calling thread's scratch memory per size.
template <size_t kBuffers>
std::array<float*, kBuffers> AttentionScratch(const int64_t (&floats)[kBuffers]) {
  constexpr int64_t kAlignment = 32;  // floats, Scratch's own
  std::array<int64_t, kBuffers + 1> ends = {};
  for (size_t i = 0; i < kBuffers; ++i) {
    ends[i + 1] = ends[i] + (floats[i] + kAlignment - 1) / kAlignment * kAlignment;
  }
  float* base = Scratch(ScratchUse::kAttention, ends[kBuffers]);
  std::array<float*, kBuffers> buffers;
  for (size_t i = 0; i < kBuffers; ++i) buffers[i] = base + ends[i];
  return buffers;
}

}  // namespace navit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Scores of one query to probabilities times their sum, in place: row[0, keys) becomes
// exp(scale·row − max), row[keys, columns) 0. Returns the log of Σ exp and sets *inv_sum.
float SoftmaxRow(float* row, int64_t keys, int64_t columns, float scale, float* inv_sum) {
  const D d;
  const int64_t lanes = Lanes(), whole = keys / lanes * lanes;
  const auto is_key = hn::FirstN(d, static_cast<size_t>(keys - whole));
  V max_lanes = hn::Set(d, row[0]);
  for (int64_t j = 0; j < whole; j += lanes) {
    max_lanes = hn::Max(max_lanes, hn::LoadU(d, row + j));
  }
  const V rest = LoadUpTo(row + whole, keys - whole);
  max_lanes = hn::Max(max_lanes, hn::IfThenElse(is_key, rest, max_lanes));
  const float max = ReduceMax(max_lanes) * scale;
  const V factor = hn::Set(d, scale), offset = hn::Set(d, max);
  V sum_lanes = hn::IfThenElseZero(is_key, Exp(hn::MulSub(rest, factor, offset)));
  StoreUpTo(sum_lanes, row + whole, keys - whole);
  for (int64_t j = 0; j < whole; j += lanes) {
    const V p = Exp(hn::MulSub(hn::LoadU(d, row + j), factor, offset));
    hn::StoreU(p, d, row + j);
    sum_lanes = hn::Add(sum_lanes, p);
  }
  for (int64_t j = keys; j < columns; ++j) row[j] = 0;
  const float sum = ReduceAdd(sum_lanes);
  *inv_sum = 1 / sum;
  return max + std::log(sum);
}

// Floats from one row of scores to the next: whole cache lines, an odd number of them, so that the
// rows of a tile lie in different sets of the first-level cache.
int64_t ScoreStride(int64_t keys) { return ((keys + 15) / 16 | 1) * 16; }

// Unnormalised probabilities of `rows` queries; their sums go out of the rows of `out`.
void SoftmaxRows(float* scores, int64_t score_row, int64_t rows, int64_t columns,
                 int64_t first_keys, float scale, float* inv_sum, float* lse, int64_t lse_row) {
  for (int64_t r = 0; r < rows; ++r) {
    // Without causality every row has all keys.
    const int64_t keys = first_keys == 0 ? columns : first_keys + r;
    lse[r * lse_row] = SoftmaxRow(scores + r * score_row, keys, columns, scale, inv_sum + r);
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

// p: scores to probabilities exp(scale·p − lse); dp: to scale·p·(dp − delta). Both [rows, columns].
void BackwardRows(float* p, float* dp, int64_t score_row, int64_t rows, int64_t columns,
                  int64_t first_keys, float scale, const float* lse, int64_t lse_row,
                  const float* delta) {
  const D d;
  const V factor = hn::Set(d, scale);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t keys = first_keys == 0 ? columns : first_keys + r;
    float* p_row = p + r * score_row;
    float* dp_row = dp + r * score_row;
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

// One head of one segment of tokens [begin, end).
void ForwardHead(const SegmentAttentionForwardArgs& args, int64_t begin, int64_t end,
                 int64_t head) {
  const int64_t heads = args.heads, dim = args.head_dim, width = heads * dim;
  const int64_t stride = 3 * width, length = end - begin, score_row = ScoreStride(length);
  const float scale = 1 / std::sqrt(static_cast<float>(dim));
  const float* q = args.qkv + begin * stride + head * dim;
  float* out = args.out + begin * width + head * dim;
  float* lse = args.lse + begin * heads + head;
  const auto [rows_of_all, keys_t, values, scores, inv_sum] =
      AttentionScratch<5>({length * dim, PackedFloats(dim, length), PackedFloats(length, dim),
                           kQueryBlock * score_row, kQueryBlock});
  CopyRows(q + width, stride, length, dim, rows_of_all, dim);
  PackB(rows_of_all, 1, dim, dim, length, keys_t);
  PackB(q + 2 * width, stride, 1, length, dim, values);
  CopyRows(q, stride, length, dim, rows_of_all, dim);
  for (int64_t i = 0; i < length; i += kQueryBlock) {
    const int64_t rows = HWY_MIN(kQueryBlock, length - i);
    const int64_t keys = args.causal ? i + rows : length;
    PackedProduct<Rows::kStrided>({.m = rows,
                                   .n = keys,
                                   .k = dim,
                                   .a = rows_of_all + i * dim,
                                   .a_row = dim,
                                   .b = keys_t,
                                   .b_rows = dim,
                                   .b_columns = length,
                                   .c = scores,
                                   .c_row = score_row});
    SoftmaxRows(scores, score_row, rows, keys, args.causal ? i + 1 : 0, scale, inv_sum,
                lse + i * heads, heads);
    PackedProduct<Rows::kStrided>({.m = rows,
                                   .n = dim,
                                   .k = keys,
                                   .a = scores,
                                   .a_row = score_row,
                                   .b = values,
                                   .b_rows = length,
                                   .b_columns = dim,
                                   .c = out + i * width,
                                   .c_row = width});
    ScaleRows(out + i * width, rows, dim, width, inv_sum);
  }
}

// See _ref for the formulas.
void BackwardHead(const SegmentAttentionBackwardArgs& args, int64_t begin, int64_t end,
                  int64_t head) {
  const int64_t heads = args.heads, dim = args.head_dim, width = heads * dim;
  const int64_t stride = 3 * width, length = end - begin, score_row = ScoreStride(length);
  const float scale = 1 / std::sqrt(static_cast<float>(dim));
  const float* q = args.qkv + begin * stride + head * dim;
  const float* out = args.out + begin * width + head * dim;
  const float* dout = args.dout + begin * width + head * dim;
  const float* lse = args.lse + begin * heads + head;
  float* dq = args.dqkv + begin * stride + head * dim;
  float* dk = dq + width;
  float* dv = dk + width;
  const int64_t block = HWY_MIN(kQueryBlock, length);
  const auto [rows_of_all, keys_t, values_t, keys_b, queries, queries_b, douts, douts_b, p, dp,
              packed, delta] =
      AttentionScratch<12>({length * dim, PackedFloats(dim, length), PackedFloats(dim, length),
                            PackedFloats(length, dim), block * dim, PackedFloats(block, dim),
                            block * dim, PackedFloats(block, dim), block * score_row,
                            block * score_row, kKeyBlock * block, block});
  CopyRows(q + width, stride, length, dim, rows_of_all, dim);
  PackB(rows_of_all, 1, dim, dim, length, keys_t);
  PackB(rows_of_all, dim, 1, length, dim, keys_b);
  CopyRows(q + 2 * width, stride, length, dim, rows_of_all, dim);
  PackB(rows_of_all, 1, dim, dim, length, values_t);
  for (int64_t i = 0; i < length; i += block) {
    const int64_t rows = HWY_MIN(block, length - i);
    const int64_t keys = args.causal ? i + rows : length;
    CopyRows(out + i * width, width, rows, dim, queries, dim);
    CopyRows(dout + i * width, width, rows, dim, douts, dim);
    for (int64_t r = 0; r < rows; ++r) delta[r] = Dot(queries + r * dim, douts + r * dim, dim);
    PackB(douts, dim, 1, rows, dim, douts_b);
    CopyRows(q + i * stride, stride, rows, dim, queries, dim);
    PackB(queries, dim, 1, rows, dim, queries_b);
    PackedProduct<Rows::kStrided>({.m = rows,
                                   .n = keys,
                                   .k = dim,
                                   .a = queries,
                                   .a_row = dim,
                                   .b = keys_t,
                                   .b_rows = dim,
                                   .b_columns = length,
                                   .c = p,
                                   .c_row = score_row});
    PackedProduct<Rows::kStrided>({.m = rows,
                                   .n = keys,
                                   .k = dim,
                                   .a = douts,
                                   .a_row = dim,
                                   .b = values_t,
                                   .b_rows = dim,
                                   .b_columns = length,
                                   .c = dp,
                                   .c_row = score_row});
    BackwardRows(p, dp, score_row, rows, keys, args.causal ? i + 1 : 0, scale, lse + i * heads,
                 heads, delta);
    PackedProduct<Rows::kStrided>({.m = rows,
                                   .n = dim,
                                   .k = keys,
                                   .a = dp,
                                   .a_row = score_row,
                                   .b = keys_b,
                                   .b_rows = length,
                                   .b_columns = dim,
                                   .c = dq + i * stride,
                                   .c_row = stride});
    // A causal block adds to the keys before it and is the first to write its own.
    const int64_t seen = args.causal ? i : (i == 0 ? 0 : keys);
    // to[j] (+)= Σ_r scores[r, j]·b[r] for the keys j.
    const auto gradient_of_keys = [&](const float* scores, const float* b, float* to) HWY_ATTR {
      for (int64_t j = 0; j < keys;) {
        const bool accumulate = j < seen;
        const int64_t count = HWY_MIN(kKeyBlock, (accumulate ? seen : keys) - j);
        PackA(scores + j, score_row, count, rows, packed);
        PackedProduct<Rows::kPacked>({.m = count,
                                      .n = dim,
                                      .k = rows,
                                      .a = packed,
                                      .b = b,
                                      .b_rows = rows,
                                      .b_columns = dim,
                                      .c = to + j * stride,
                                      .c_row = stride,
                                      .accumulate = accumulate});
        j += count;
      }
    };
    gradient_of_keys(p, douts_b, dv);
    gradient_of_keys(dp, queries_b, dk);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(ForwardHead);
HWY_EXPORT(BackwardHead);

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

}  // namespace

void SegmentAttentionForward(const SegmentAttentionForwardArgs& args, ThreadPool& pool) {
  const std::vector<int64_t> order = LongestFirst(args.cu_seqlens, args.segments);
  pool.ParallelTasks(static_cast<int64_t>(order.size()) * args.heads, [&](int64_t task) {
    const int64_t s = order[task / args.heads];
    HWY_DYNAMIC_DISPATCH(ForwardHead)
    (args, args.cu_seqlens[s], args.cu_seqlens[s + 1], task % args.heads);
  });
  const int64_t used = args.cu_seqlens[args.segments], width = args.heads * args.head_dim;
  std::fill(args.out + used * width, args.out + args.tokens * width, 0.0f);
  std::fill(args.lse + used * args.heads, args.lse + args.tokens * args.heads, 0.0f);
}

void SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args, ThreadPool& pool) {
  const std::vector<int64_t> order = LongestFirst(args.cu_seqlens, args.segments);
  pool.ParallelTasks(static_cast<int64_t>(order.size()) * args.heads, [&](int64_t task) {
    const int64_t s = order[task / args.heads];
    HWY_DYNAMIC_DISPATCH(BackwardHead)
    (args, args.cu_seqlens[s], args.cu_seqlens[s + 1], task % args.heads);
  });
  const int64_t used = args.cu_seqlens[args.segments], stride = 3 * args.heads * args.head_dim;
  std::fill(args.dqkv + used * stride, args.dqkv + args.tokens * stride, 0.0f);
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
