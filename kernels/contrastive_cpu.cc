#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/contrastive.h"
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
// Returns Σ of that times z/scale.
double GradientRow(float* z, int64_t columns, float scale, float row_lse, const float* column_lse,
                   float row_weight, float column_weight) {
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
    // Scores that do not count have g = 0, which −∞ would turn into NaN. Lanes behind the end hold
    // a score of 0, which adds nothing.
    dot = hn::MulAdd(g, FiniteOrZero(score), dot);
    StoreUpTo(hn::Mul(g, hn::Set(d, scale)), z + j, width);
  }
  return static_cast<double>(ReduceAdd(dot)) / scale;
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

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr int64_t kTileRows = 256;
constexpr int64_t kTileColumns = 4096;

// The pairs of a strip that do not count, found without comparing every row with every column.
class Exclusions {
 public:
  explicit Exclusions(const ContrastiveStrip& strip) : strip_(strip) {
    for (int64_t j = 0; j < strip.columns; ++j) {
      if (strip.column_valid != nullptr && strip.column_valid[j] == 0) invalid_.push_back(j);
      if (strip.row_hash != nullptr && strip.column_hash[j] != 0) {
        by_hash_.emplace_back(strip.column_hash[j], j);
      }
    }
    std::sort(by_hash_.begin(), by_hash_.end());
  }

  // Sets to −∞ what does not count among columns [begin, end) of row i; z[0] is column `begin`.
  void Apply(int64_t i, int64_t begin, int64_t end, float* z) const {
    if (strip_.positive[i] < 0) {
      std::fill(z, z + (end - begin), kNone);
      return;
    }
    for (auto it = std::lower_bound(invalid_.begin(), invalid_.end(), begin);
         it != invalid_.end() && *it < end; ++it) {
      z[*it - begin] = kNone;
    }
    if (strip_.row_hash == nullptr || strip_.row_hash[i] == 0) return;
    for (auto it = std::lower_bound(by_hash_.begin(), by_hash_.end(),
                                    std::pair(strip_.row_hash[i], begin));
         it != by_hash_.end() && it->first == strip_.row_hash[i] && it->second < end; ++it) {
      if (it->second != strip_.positive[i]) z[it->second - begin] = kNone;
    }
  }

 private:
  const ContrastiveStrip& strip_;
  std::vector<int64_t> invalid_;
  std::vector<std::pair<uint64_t, int64_t>> by_hash_;  // (hash, column), sorted
};

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
void Scores(const ContrastiveStrip& strip, const Exclusions& exclusions, const TileExtent& extent,
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
      exclusions.Apply(extent.row + r, extent.column, extent.column + extent.columns, z);
    }
  });
}

float* TileBuffer(const ContrastiveStrip& strip) {
  return Scratch(ScratchUse::kTile,
                 std::min(kTileRows, strip.rows) * std::min(kTileColumns, strip.columns));
}

bool Inside(const TileExtent& extent, int64_t column) {
  return column >= extent.column && column < extent.column + extent.columns;
}

}  // namespace

void ContrastiveStats(const ContrastiveStatsArgs& args, ThreadPool& pool) {
  const ContrastiveStrip& strip = args.strip;
  const Exclusions exclusions(strip);
  std::fill(args.row_max, args.row_max + strip.rows, kNone);
  std::fill(args.row_sum, args.row_sum + strip.rows, 0.0f);
  std::fill(args.column_max, args.column_max + strip.columns, kNone);
  std::fill(args.column_sum, args.column_sum + strip.columns, 0.0f);
  std::fill(args.positive_score, args.positive_score + strip.rows, 0.0f);
  float* tile = TileBuffer(strip);
  ForEachTile(strip, [&](const TileExtent& extent) {
    Scores(strip, exclusions, extent, tile, pool);
    pool.ParallelFor(extent.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t i = extent.row + r, positive = strip.positive[i];
        const float* z = tile + r * extent.columns;
        HWY_DYNAMIC_DISPATCH(RowStats)
        (z, extent.columns, args.row_max + i, args.row_sum + i);
        if (!Inside(extent, positive)) continue;
        const float score = z[positive - extent.column];
        if (score != kNone) args.positive_score[i] = score;
      }
    });
    pool.ParallelFor(extent.columns, 64, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(ColumnStats)
      (tile, extent.rows, extent.columns, begin, end, args.column_max + extent.column,
       args.column_sum + extent.column);
    });
  });
}

void ContrastiveBackward(const ContrastiveBackwardArgs& args, ThreadPool& pool) {
  const ContrastiveStrip& strip = args.strip;
  const Exclusions exclusions(strip);
  std::fill(args.dx, args.dx + strip.rows * strip.dim, 0.0f);
  std::fill(args.dy, args.dy + strip.columns * strip.dim, 0.0f);
  std::vector<double> dscale(strip.rows, 0);
  float* tile = TileBuffer(strip);
  ForEachTile(strip, [&](const TileExtent& extent) {
    Scores(strip, exclusions, extent, tile, pool);
    pool.ParallelFor(extent.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t i = extent.row + r, positive = strip.positive[i];
        float* z = tile + r * extent.columns;
        const float positive_score = Inside(extent, positive) ? z[positive - extent.column] : kNone;
        dscale[i] += HWY_DYNAMIC_DISPATCH(GradientRow)(
            z, extent.columns, strip.scale, args.row_lse[i], args.column_lse + extent.column,
            args.row_weight, args.column_weight);
        if (positive_score == kNone) continue;
        const float pull = args.row_weight + args.column_weight;
        z[positive - extent.column] -= pull * strip.scale;
        dscale[i] -= static_cast<double>(pull) * positive_score / strip.scale;
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
