#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/contrastive.h"
#include "kernels/contrastive_pairs.h"
#include "kernels/gemm.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/contrastive_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

constexpr float kNone = -std::numeric_limits<float>::infinity();

// Where the maximum is −∞ any finite offset will do: exp(−∞) is 0.
HWY_INLINE V FiniteOrZero(V max) {
  const D d;
  return hn::IfThenElseZero(hn::Gt(max, hn::Set(d, kNone)), max);
}

// Joins `columns` scores of one row to its running maximum and sum.
void RowStats(const float* z, int64_t columns, float* max, float* sum) {
  const D d;
  float tile_max = kNone;
  for (int64_t j = 0; j < columns; ++j) tile_max = HWY_MAX(tile_max, z[j]);
  if (tile_max == kNone) return;
  const V offset = hn::Set(d, tile_max);
  V sum_lanes = hn::Zero(d);
  int64_t j = 0;
  for (; j + Lanes() <= columns; j += Lanes()) {
    sum_lanes = hn::Add(sum_lanes, Exp(hn::Sub(hn::LoadU(d, z + j), offset)));
  }
  float tile_sum = ReduceAdd(sum_lanes);
  for (; j < columns; ++j) {
    tile_sum += hn::GetLane(Exp(hn::Set(d, z[j] - tile_max)));
  }
  const float joint = HWY_MAX(*max, tile_max);
  const float old_factor = *max == kNone ? 0.0f : std::exp(*max - joint);
  *sum = *sum * old_factor + tile_sum * std::exp(tile_max - joint);
  *max = joint;
}

// Joins the rows of a tile to the running maxima and sums of columns [begin, end).
void ColumnStats(const float* tile, int64_t rows, int64_t stride, int64_t begin, int64_t end,
                 float* max, float* sum) {
  for (int64_t j = begin; j < end; j += Lanes()) {
    const int64_t width = end - j;
    const V old_max = LoadUpTo(max + j, width);
    V joint = old_max;
    for (int64_t r = 0; r < rows; ++r) {
      joint = hn::Max(joint, LoadUpTo(tile + r * stride + j, width));
    }
    const V offset = FiniteOrZero(joint);
    V total = hn::Mul(LoadUpTo(sum + j, width), Exp(hn::Sub(old_max, offset)));
    for (int64_t r = 0; r < rows; ++r) {
      total = hn::Add(total, Exp(hn::Sub(LoadUpTo(tile + r * stride + j, width), offset)));
    }
    StoreUpTo(joint, max + j, width);
    StoreUpTo(total, sum + j, width);
  }
}

// One row of scores z (−∞: does not count) to the gradient with respect to the cosine, without the
// positive's −1: scale·(row_weight·exp(z − row_lse) + column_weight·exp(z − column_lse)).
// less the smoothing's row_weight·row_smooth + column_weight·column_smooth (null: none). Returns Σ
// of that times z/scale.
double GradientRow(float* z, int64_t columns, float scale, float row_lse, const float* column_lse,
                   float row_weight, float column_weight, float row_smooth,
                   const float* column_smooth) {
  const D d;
  const V row_factor = hn::Set(d, row_weight), column_factor = hn::Set(d, column_weight);
  const V row_offset = FiniteOrZero(hn::Set(d, row_lse));
  V dot = hn::Zero(d);
  for (int64_t j = 0; j < columns; j += Lanes()) {
    const int64_t width = columns - j;
    V score = LoadUpTo(z + j, width);
    const V column_offset = FiniteOrZero(LoadUpTo(column_lse + j, width));
    V g = hn::Mul(row_factor, Exp(hn::Sub(score, row_offset)));
    g = hn::MulAdd(column_factor, Exp(hn::Sub(score, column_offset)), g);
    if (column_smooth != nullptr) {
      const V smooth = hn::MulAdd(column_factor, LoadUpTo(column_smooth + j, width),
                                  hn::Set(d, row_weight * row_smooth));
      g = hn::Sub(g, hn::IfThenElseZero(hn::Gt(score, hn::Set(d, kNone)), smooth));
    }
    // Scores that do not count have g = 0, which −∞ would turn into NaN. Lanes behind the end hold
    // a score of 0, which adds nothing.
    dot = hn::MulAdd(g, FiniteOrZero(score), dot);
    StoreUpTo(hn::Mul(g, hn::Set(d, scale)), z + j, width);
  }
  return static_cast<double>(ReduceAdd(dot)) / scale;
}

// Σ (row_smooth + column_smooth)·z of the scores that count.
double SmoothScore(const float* z, int64_t columns, float row_smooth, const float* column_smooth) {
  const D d;
  V sum = hn::Zero(d);
  for (int64_t j = 0; j < columns; j += Lanes()) {
    const V factor = hn::Add(hn::Set(d, row_smooth), LoadUpTo(column_smooth + j, columns - j));
    sum = hn::MulAdd(factor, FiniteOrZero(LoadUpTo(z + j, columns - j)), sum);
  }
  return ReduceAdd(sum);
}

void ScaleTile(float* tile, int64_t count, float scale) {
  for (int64_t j = 0; j < count; j += Lanes()) {
    StoreUpTo(hn::Mul(LoadUpTo(tile + j, count - j), hn::Set(D(), scale)), tile + j, count - j);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(RowStats);
HWY_EXPORT(ColumnStats);
HWY_EXPORT(GradientRow);
HWY_EXPORT(ScaleTile);
HWY_EXPORT(SmoothScore);

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr int64_t kTileRows = 256;
constexpr int64_t kTileColumns = 4096;

struct TileExtent {
  int64_t row, rows, column, columns;
};

// Calls body for the tiles of the strip, rows outermost.
template <typename Body>
void ForEachTile(const ContrastiveStrip& strip, Body body) {
  for (int64_t row = 0; row < strip.rows; row += kTileRows) {
    for (int64_t column = 0; column < strip.columns; column += kTileColumns) {
      body(TileExtent{row, std::min(kTileRows, strip.rows - row), column,
                      std::min(kTileColumns, strip.columns - column)});
    }
  }
}

// tile[r, j] = scale·(x·y), −∞ where the pair does not count.
void Scores(const ContrastiveStrip& strip, const ContrastivePairs& pairs, const TileExtent& extent,
            float* tile, ThreadPool& pool) {
  GemmArgs gemm;
  gemm.m = extent.rows;
  gemm.n = extent.columns;
  gemm.k = strip.dim;
  gemm.a = strip.x + extent.row * strip.dim;
  gemm.a_row = strip.dim;
  gemm.b = strip.y + extent.column * strip.dim;
  gemm.b_k = 1;
  gemm.b_column = strip.dim;
  gemm.c = tile;
  gemm.c_row = extent.columns;
  Gemm(gemm, pool);
  pool.ParallelFor(extent.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* z = tile + r * extent.columns;
      HWY_DYNAMIC_DISPATCH(ScaleTile)(z, extent.columns, strip.scale);
      pairs.Exclude(extent.row + r, extent.column, extent.column + extent.columns, z);
    }
  });
}

float* TileBuffer(const ContrastiveStrip& strip) {
  return Scratch(ScratchUse::kTile,
                 std::min(kTileRows, strip.rows) * std::min(kTileColumns, strip.columns));
}

std::vector<int64_t> PositiveCounts(const ContrastiveStrip& strip, const ContrastivePairs& pairs) {
  std::vector<int64_t> counts(strip.rows);
  for (int64_t i = 0; i < strip.rows; ++i) counts[i] = pairs.PositiveCount(i);
  return counts;
}

}  // namespace

void ContrastiveStats(const ContrastiveStatsArgs& args, ThreadPool& pool) {
  const ContrastiveStrip& strip = args.strip;
  const ContrastivePairs pairs(strip);
  std::fill(args.row_max, args.row_max + strip.rows, kNone);
  std::fill(args.row_sum, args.row_sum + strip.rows, 0.0f);
  std::fill(args.column_max, args.column_max + strip.columns, kNone);
  std::fill(args.column_sum, args.column_sum + strip.columns, 0.0f);
  std::fill(args.positive_score, args.positive_score + strip.rows, 0.0f);
  std::vector<double> smooth(strip.rows, 0);
  const std::vector<int64_t> positives = PositiveCounts(strip, pairs);
  float* tile = TileBuffer(strip);
  ForEachTile(strip, [&](const TileExtent& extent) {
    Scores(strip, pairs, extent, tile, pool);
    pool.ParallelFor(extent.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t i = extent.row + r;
        const float* z = tile + r * extent.columns;
        HWY_DYNAMIC_DISPATCH(RowStats)
        (z, extent.columns, args.row_max + i, args.row_sum + i);
        if (strip.column_smooth != nullptr) {
          smooth[i] += HWY_DYNAMIC_DISPATCH(SmoothScore)(z, extent.columns, strip.row_smooth[i],
                                                         strip.column_smooth + extent.column);
        }
        const int64_t count = positives[i];
        pairs.ForEachPositive(i, extent.column, extent.column + extent.columns, [&](int64_t j) {
          args.positive_score[i] += z[j - extent.column] / static_cast<float>(count);
        });
      }
    });
    pool.ParallelFor(extent.columns, 64, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(ColumnStats)
      (tile, extent.rows, extent.columns, begin, end, args.column_max + extent.column,
       args.column_sum + extent.column);
    });
  });
  if (args.smooth_score == nullptr) return;
  for (int64_t i = 0; i < strip.rows; ++i) args.smooth_score[i] = static_cast<float>(smooth[i]);
}

void ContrastiveBackward(const ContrastiveBackwardArgs& args, ThreadPool& pool) {
  const ContrastiveStrip& strip = args.strip;
  const ContrastivePairs pairs(strip);
  std::fill(args.dx, args.dx + strip.rows * strip.dim, 0.0f);
  std::fill(args.dy, args.dy + strip.columns * strip.dim, 0.0f);
  std::vector<double> dscale(strip.rows, 0);
  const std::vector<int64_t> positives = PositiveCounts(strip, pairs);
  float* tile = TileBuffer(strip);
  ForEachTile(strip, [&](const TileExtent& extent) {
    Scores(strip, pairs, extent, tile, pool);
    pool.ParallelFor(extent.rows, 1, [&](int64_t begin, int64_t end) {
      std::vector<std::pair<int64_t, float>> own;  // positives of a row in this tile: place, score
      for (int64_t r = begin; r < end; ++r) {
        const int64_t i = extent.row + r;
        float* z = tile + r * extent.columns;
        own.clear();
        pairs.ForEachPositive(i, extent.column, extent.column + extent.columns, [&](int64_t j) {
          own.emplace_back(j - extent.column, z[j - extent.column]);
        });
        dscale[i] += HWY_DYNAMIC_DISPATCH(GradientRow)(
            z, extent.columns, strip.scale, args.row_lse[i], args.column_lse + extent.column,
            args.row_weight, args.column_weight,
            strip.row_smooth == nullptr ? 0.0f : strip.row_smooth[i],
            strip.column_smooth == nullptr ? nullptr : strip.column_smooth + extent.column);
        if (own.empty()) continue;
        const float pull = (args.row_weight + args.column_weight) * strip.positive_share /
                           static_cast<float>(positives[i]);
        for (const auto& [at, score] : own) {
          z[at] -= pull * strip.scale;
          dscale[i] -= static_cast<double>(pull) * score / strip.scale;
        }
      }
    });
    GemmArgs gemm;
    gemm.m = extent.rows;
    gemm.n = strip.dim;
    gemm.k = extent.columns;
    gemm.a = tile;
    gemm.a_row = extent.columns;
    gemm.b = strip.y + extent.column * strip.dim;
    gemm.b_k = strip.dim;
    gemm.c = args.dx + extent.row * strip.dim;
    gemm.c_row = strip.dim;
    gemm.accumulate = true;
    Gemm(gemm, pool);
    gemm.m = extent.columns;
    gemm.k = extent.rows;
    gemm.a_row = 1;
    gemm.a_k = extent.columns;
    gemm.b = strip.x + extent.row * strip.dim;
    gemm.c = args.dy + extent.column * strip.dim;
    Gemm(gemm, pool);
  });
  *args.dscale = 0;
  for (double part : dscale) *args.dscale += part;
}

void RescaleSoftmaxSums(int64_t count, const float* old_max, const float* new_max, float* sum) {
  for (int64_t i = 0; i < count; ++i) {
    sum[i] = old_max[i] == kNone ? 0.0f : sum[i] * std::exp(old_max[i] - new_max[i]);
  }
}

void SoftmaxLogSum(int64_t count, const float* max, const float* sum, float* lse) {
  for (int64_t i = 0; i < count; ++i) lse[i] = sum[i] > 0 ? max[i] + std::log(sum[i]) : kNone;
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
