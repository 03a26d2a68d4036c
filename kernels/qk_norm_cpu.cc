#include <algorithm>
#include <cmath>

#include "kernels/column_sum.h"
#include "kernels/qk_norm.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/qk_norm_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// Tokens [begin, end).
void ForwardRange(const QkNormForwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), head_dim = args.head_dim, heads = args.heads;
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t vector = 0; vector < 2 * heads; ++vector) {
      const float* x = args.qkv + (t * 3 * heads + vector) * head_dim;
      float* y = args.normed + (t * 3 * heads + vector) * head_dim;
      const float* gain = vector < heads ? args.q_gain : args.k_gain;
      const float mean = Dot(x, x, head_dim) / static_cast<float>(head_dim);
      const float inv_rms = 1.0f / std::sqrt(mean + args.eps);
      const V factor = hn::Set(d, inv_rms);
      for (int64_t j = 0; j < head_dim; j += lanes) {
        const int64_t width = head_dim - j;
        const V unit = hn::Mul(LoadUpTo(x + j, width), factor);
        StoreUpTo(hn::Mul(unit, LoadUpTo(gain + j, width)), y + j, width);
      }
      if (args.inv_rms != nullptr) args.inv_rms[t * 2 * heads + vector] = inv_rms;
    }
    if (args.normed == args.qkv) continue;
    const int64_t v = (t * 3 + 2) * heads * head_dim, width = heads * head_dim;
    for (int64_t j = 0; j < width; j += lanes) {
      StoreUpTo(LoadUpTo(args.qkv + v + j, width - j), args.normed + v + j, width - j);
    }
  }
}

void BackwardRange(const QkNormBackwardArgs& args, int64_t begin, int64_t end) {
  const D d;
  const int64_t lanes = Lanes(), head_dim = args.head_dim, heads = args.heads;
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t vector = 0; vector < 2 * heads; ++vector) {
      const float* x = args.qkv + (t * 3 * heads + vector) * head_dim;
      float* dx = args.dqkv + (t * 3 * heads + vector) * head_dim;
      const float* gain = vector < heads ? args.q_gain : args.k_gain;
      const float inv_rms = args.inv_rms[t * 2 * heads + vector];
      V sum = hn::Zero(d);
      for (int64_t j = 0; j < head_dim; j += lanes) {
        const int64_t width = head_dim - j;
        const V g = hn::Mul(LoadUpTo(gain + j, width), LoadUpTo(dx + j, width));
        sum = hn::MulAdd(g, LoadUpTo(x + j, width), sum);
      }
      const float mean = ReduceAdd(sum) / static_cast<float>(head_dim);
      const V factor = hn::Set(d, inv_rms);
      const V pull = hn::Set(d, inv_rms * inv_rms * inv_rms * mean);
      for (int64_t j = 0; j < head_dim; j += lanes) {
        const int64_t width = head_dim - j;
        const V g = hn::Mul(LoadUpTo(gain + j, width), LoadUpTo(dx + j, width));
        StoreUpTo(hn::NegMulAdd(LoadUpTo(x + j, width), pull, hn::Mul(g, factor)), dx + j, width);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {

namespace {
HWY_EXPORT(ForwardRange);
HWY_EXPORT(BackwardRange);
}  // namespace

void QkNormForward(const QkNormForwardArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.tokens, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ForwardRange)(args, begin, end);
  });
}

void QkNormBackward(const QkNormBackwardArgs& args, ThreadPool& pool) {
  const int64_t heads = args.heads, head_dim = args.head_dim;
  // Gains first: they need the gradients that BackwardRange replaces. One sum per head, then the
  // heads in order.
  float* sums = Scratch(ScratchUse::kReduction, 2 * heads * head_dim);
  std::fill(sums, sums + 2 * heads * head_dim, 0.0f);
  pool.ParallelTasks(2 * heads, [&](int64_t vector) {
    ColumnSumArgs sum;
    sum.rows = args.tokens;
    sum.dim = head_dim;
    sum.a = args.dqkv + vector * head_dim;
    sum.a_row = 3 * heads * head_dim;
    sum.b = args.qkv + vector * head_dim;
    sum.b_row = sum.a_row;
    sum.w = args.inv_rms + vector;
    sum.w_row = 2 * heads;
    sum.sum = sums + vector * head_dim;
    ColumnSum(sum);
  });
  for (int64_t vector = 0; vector < 2 * heads; ++vector) {
    float* dgain = vector < heads ? args.dq_gain : args.dk_gain;
    for (int64_t j = 0; j < head_dim; ++j) dgain[j] += sums[vector * head_dim + j];
  }
  pool.ParallelFor(args.tokens, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BackwardRange)(args, begin, end);
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
