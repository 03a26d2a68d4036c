#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "kernels/contrastive_pairs.h"
#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/sigmoid_contrastive.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sigmoid_contrastive_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// One row of cosines (−∞: does not count) to g = σ(z) − target, as if none were a positive. Adds to
// `sums` the loss, Σ g·cosine and Σ g.
void GradientRow(float* tile, int64_t columns, float scale, float bias, float target,
                 double* sums) {
  const D d;
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f), none = hn::Set(d, -1e30f);
  V loss = zero, dot = zero, sum = zero;
  for (int64_t j = 0; j < columns; j += Lanes()) {
    const int64_t width = columns - j;
    const V cosine = LoadUpTo(tile + j, width);
    auto counts = hn::Gt(cosine, none);
    if (width < Lanes()) counts = hn::And(counts, hn::FirstN(d, static_cast<size_t>(width)));
    const V safe = hn::IfThenElseZero(counts, cosine);
    const V z = hn::MulAdd(safe, hn::Set(d, scale), hn::Set(d, bias));
    // e^-|z| is in (0, 1]: neither overflows nor loses the small side.
    const V e = Exp(hn::Neg(hn::Abs(z)));
    const V inverse = hn::Div(one, hn::Add(one, e));
    const V sigmoid = hn::IfThenElse(hn::Ge(z, zero), inverse, hn::Mul(e, inverse));
    const V softplus = hn::Add(hn::Max(z, zero), hn::Log1p(d, e));
    const V g = hn::IfThenElseZero(counts, hn::Sub(sigmoid, hn::Set(d, target)));
    loss =
        hn::Add(loss, hn::IfThenElseZero(counts, hn::NegMulAdd(hn::Set(d, target), z, softplus)));
    dot = hn::MulAdd(g, safe, dot);
    sum = hn::Add(sum, g);
    StoreUpTo(g, tile + j, width);
  }
  sums[0] += ReduceAdd(loss);
  sums[1] += ReduceAdd(dot);
  sums[2] += ReduceAdd(sum);
}

void ScaleRow(float* row, int64_t count, float factor) {
  for (int64_t j = 0; j < count; j += Lanes()) {
    StoreUpTo(hn::Mul(LoadUpTo(row + j, count - j), hn::Set(D(), factor)), row + j, count - j);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(GradientRow);
HWY_EXPORT(ScaleRow);

constexpr int64_t kTileRows = 256;
constexpr int64_t kTileColumns = 4096;

}  // namespace

void SigmoidContrastive(const SigmoidContrastiveArgs& args, ThreadPool& pool) {
  const ContrastiveStrip& strip = args.strip;
  const ContrastivePairs pairs(strip);
  const float low = 0.5f * args.smoothing, rise = 1 - args.smoothing;
  std::fill(args.dx, args.dx + strip.rows * strip.dim, 0.0f);
  std::fill(args.dy, args.dy + strip.columns * strip.dim, 0.0f);
  // Of each row: loss, d scale, d bias.
  std::vector<std::array<double, 3>> totals(strip.rows, {0, 0, 0});
  float* tile = Scratch(ScratchUse::kTile,
                        std::min(kTileRows, strip.rows) * std::min(kTileColumns, strip.columns));
  for (int64_t row = 0; row < strip.rows; row += kTileRows) {
    const int64_t rows = std::min(kTileRows, strip.rows - row);
    for (int64_t column = 0; column < strip.columns; column += kTileColumns) {
      const int64_t columns = std::min(kTileColumns, strip.columns - column);
      GemmArgs gemm;
      gemm.m = rows;
      gemm.n = columns;
      gemm.k = strip.dim;
      gemm.a = strip.x + row * strip.dim;
      gemm.a_row = strip.dim;
      gemm.b = strip.y + column * strip.dim;
      gemm.b_k = 1;
      gemm.b_column = strip.dim;
      gemm.c = tile;
      gemm.c_row = columns;
      Gemm(gemm, pool);
      pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) {
        std::vector<std::pair<int64_t, float>> positives;
        for (int64_t r = begin; r < end; ++r) {
          const int64_t i = row + r;
          float* z = tile + r * columns;
          positives.clear();
          pairs.ForEachPositive(i, column, column + columns, [&](int64_t j) {
            positives.emplace_back(j - column, z[j - column]);
          });
          pairs.Exclude(i, column, column + columns, z);
          std::array<double, 3>& total = totals[i];
          HWY_DYNAMIC_DISPATCH(GradientRow)
          (z, columns, strip.scale, args.bias, low, total.data());
          for (const auto& [at, cosine] : positives) {
            z[at] -= rise;
            total[0] -= static_cast<double>(rise) * (strip.scale * cosine + args.bias);
            total[1] -= static_cast<double>(rise) * cosine;
            total[2] -= rise;
          }
          HWY_DYNAMIC_DISPATCH(ScaleRow)
          (z, columns, static_cast<float>(args.weight * strip.scale));
        }
      });
      gemm.n = strip.dim;
      gemm.k = columns;
      gemm.a = tile;
      gemm.a_row = columns;
      gemm.b_k = strip.dim;
      gemm.b_column = 1;
      gemm.c = args.dx + row * strip.dim;
      gemm.c_row = strip.dim;
      gemm.accumulate = true;
      Gemm(gemm, pool);
      gemm.m = columns;
      gemm.k = rows;
      gemm.a_row = 1;
      gemm.a_k = columns;
      gemm.b = strip.x + row * strip.dim;
      gemm.c = args.dy + column * strip.dim;
      Gemm(gemm, pool);
    }
  }
  *args.loss = *args.dscale = *args.dbias = 0;
  for (const std::array<double, 3>& total : totals) {
    *args.loss += args.weight * total[0];
    *args.dscale += args.weight * total[1];
    *args.dbias += args.weight * total[2];
  }
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
