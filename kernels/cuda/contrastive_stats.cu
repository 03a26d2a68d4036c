#include <cmath>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/contrastive_pairs.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/score_tile.h"

namespace navit::kernels::cuda {
namespace {

using AllScores = ScoreRegisters<ScoreSlots::kSlots>;

constexpr float kNone = -INFINITY;
constexpr float kLog2E = 1.44269504088896f;
constexpr float kLn2 = 0.69314718055995f;
// Less than this of a row or column is summed again: terms below the smallest float, 2^-126, would
// be missed by more than 2^-40 each.
constexpr float kTooSmall = 0x1p-86f;

// Where no score counts any finite offset will do: exp(−∞) is 0.
NAVIT_DEVICE float FiniteOrZero(float max) { return max == kNone ? 0 : max; }

// Σ exp(z − max) over some scores of a row or column; max is not below the largest.
struct alignas(8) SoftmaxPart {
  float max;
  float sum;
};

NAVIT_DEVICE SoftmaxPart Join(const SoftmaxPart& a, const SoftmaxPart& b) {
  const float max = Max(a.max, b.max), offset = FiniteOrZero(max);
  return {max, a.sum * Exp(a.max - offset) + b.sum * Exp(b.max - offset)};
}

// Cosines to scores in powers of two, −∞ where a pair does not count.
struct ScoreRule {
  float scale;  // of the cosine, to a power of two

  NAVIT_DEVICE void Column(int) {}
  NAVIT_DEVICE void Row(int) {}
  NAVIT_DEVICE void Pair(float& z, PairKind kind, int, int) { z = kind.counts ? z * scale : kNone; }
};

// The sums of a warp's 64×32 scores over each of its rows and columns.
struct WarpSums {
  static constexpr int kSlots = ScoreSlots::kSlots;
  SoftmaxPart row[kSlots], column[kSlots];

  NAVIT_DEVICE explicit WarpSums(AllScores& z) {
    float max = kNone;
    ForEach([&](int r, int s) { max = Max(max, z.At(r, s)); });
    max = LaneMax(max);
    NAVIT_UNROLL
    for (int i = 0; i < kSlots; ++i) row[i] = column[i] = {max * kLn2, 0};
    const float offset = FiniteOrZero(max);
    ForEach([&](int r, int s) {
      const float e = Exp2(z.At(r, s) - offset);
      row[r].sum += e;
      column[s].sum += e;
    });
    float least = INFINITY;
    NAVIT_UNROLL
    for (int i = 0; i < kSlots; ++i) {
      row[i].sum = LaneSum<4>(row[i].sum);
      column[i].sum = SumOverRows(column[i].sum);
      least = Min(least, Min(row[i].sum, column[i].sum));
    }
    if (-LaneMax(-least) < kTooSmall) SumAgain(z);
  }

 private:
  template <typename Body>
  NAVIT_DEVICE static void ForEach(Body body) {
    NAVIT_UNROLL
    for (int r = 0; r < kSlots; ++r) {
      NAVIT_UNROLL
      for (int s = 0; s < kSlots; ++s) body(r, s);
    }
  }

  // Over the lanes that have the same columns.
  NAVIT_DEVICE static float SumOverRows(float value) {
    NAVIT_UNROLL
    for (int mask = 4; mask < kWarp; mask *= 2) value += ShuffleXor(value, mask);
    return value;
  }
  NAVIT_DEVICE static float MaxOverRows(float value) {
    NAVIT_UNROLL
    for (int mask = 4; mask < kWarp; mask *= 2) value = Max(value, ShuffleXor(value, mask));
    return value;
  }

  // Every row and column relative to its own maximum: two exponentials per score.
  NAVIT_DEVICE void SumAgain(AllScores& z) {
    NAVIT_UNROLL
    for (int i = 0; i < kSlots; ++i) {
      float row_max = kNone, column_max = kNone;
      NAVIT_UNROLL
      for (int j = 0; j < kSlots; ++j) {
        row_max = Max(row_max, z.At(i, j));
        column_max = Max(column_max, z.At(j, i));
      }
      row_max = LaneMax<4>(row_max);
      column_max = MaxOverRows(column_max);
      float row_sum = 0, column_sum = 0;
      NAVIT_UNROLL
      for (int j = 0; j < kSlots; ++j) {
        row_sum += Exp2(z.At(i, j) - FiniteOrZero(row_max));
        column_sum += Exp2(z.At(j, i) - FiniteOrZero(column_max));
      }
      row[i] = {row_max * kLn2, LaneSum<4>(row_sum)};
      column[i] = {column_max * kLn2, SumOverRows(column_sum)};
    }
  }
};

template <bool kSmooth>
struct TileKernel {
  struct Args {
    ContrastiveStrip strip;
    ScoreChunk chunk;
    const float* cosines;
    SoftmaxPart* row_part;     // [column tiles, row_tiles·128]
    SoftmaxPart* column_part;  // [row_tiles, column tiles·128]
    float* smooth_part;        // as row_part
  };
  static constexpr int kThreads = kScoreThreads;
  static constexpr int kMinBlocks = 2;
  static constexpr int kWarpRows = 2, kWarpColumns = 4;  // of the eight warps
  static constexpr int kPartsOffset = ScoreTile::kSharedBytes;
  static constexpr int kColumnsOffset = kPartsOffset + kWarpColumns * kScoreTile * 8;
  static constexpr int kSmoothOffset = kColumnsOffset + kWarpRows * kScoreTile * 8;
  // The smoothing of rows and of columns, and each warp's sums.
  static constexpr int64_t kSharedBytes =
      kSmoothOffset + (kSmooth ? 2 * TileValues::kSharedBytes + kWarpColumns * kScoreTile * 4 : 0);

  NAVIT_DEVICE static void Run(const Args& args) {
    const ScoreChunk& chunk = args.chunk;
    const int column_tiles = static_cast<int>(chunk.column_tiles);
    const int stride = column_tiles * kScoreTile;
    // Blocks that run together read whole rows.
    const int row_tile = static_cast<int>(BlockIndex()) / column_tiles;
    const int column_tile = static_cast<int>(BlockIndex()) % column_tiles;
    const int row = row_tile * kScoreTile, column = column_tile * kScoreTile;
    AllScores z(0);
    z.Load(Global<const float>(args.cosines) + (static_cast<int64_t>(row) * stride + column),
           stride, static_cast<int>(chunk.rows) - row,
           static_cast<int>(args.strip.columns) - column);
    const ScoreTile tile(args.strip, chunk.row + row, column, 0);
    const Shared<float> smooth = SharedMemory<float>(kSmoothOffset + 2 * TileValues::kSharedBytes,
                                                     kSmooth ? kWarpColumns * kScoreTile : 0);
    const int warp_row = WarpIndex() / kWarpColumns, warp_column = WarpIndex() % kWarpColumns;
    ScoreRule rule{args.strip.scale * kLog2E};
    if constexpr (kSmooth) {
      const TileValues of_row = tile.RowValues(kSmoothOffset, args.strip.row_smooth, kLn2);
      const TileValues of_column = tile.ColumnValues(kSmoothOffset + TileValues::kSharedBytes,
                                                     args.strip.column_smooth, kLn2);
      BlockBarrier();
      tile.Visit(z, rule);
      Smooth(z, of_row, of_column, smooth + warp_column * kScoreTile);
    } else {
      BlockBarrier();
      tile.Visit(z, rule);
    }
    const WarpSums sums(z);

    // The warps side by side, and above each other, have parts of the same rows and columns.
    const Shared<SoftmaxPart> rows =
        SharedMemory<SoftmaxPart>(kPartsOffset, kWarpColumns * kScoreTile);
    const Shared<SoftmaxPart> columns =
        SharedMemory<SoftmaxPart>(kColumnsOffset, kWarpRows * kScoreTile);
    NAVIT_UNROLL
    for (int i = 0; i < ScoreSlots::kSlots; ++i) {
      const int row = warp_column * kScoreTile + ScoreSlots::Row(i);
      if (LaneIndex() % 4 == 0) rows.Store(row, sums.row[i]);
      if (LaneIndex() / 4 == 0) {
        columns.Store(warp_row * kScoreTile + ScoreSlots::Column(i), sums.column[i]);
      }
    }
    BlockBarrier();
    const int at = ThreadIndex() % kScoreTile;
    if (ThreadIndex() < kScoreTile) {
      const int64_t to = chunk.row_tiles * column_tile * kScoreTile + row + at;
      Global<SoftmaxPart>(args.row_part).Store(to, JoinAll(rows, at, kWarpColumns));
      if (!kSmooth) return;
      float sum = 0;
      for (int i = 0; i < kWarpColumns; ++i) sum += smooth.Load(i * kScoreTile + at);
      Global<float>(args.smooth_part).Store(to, sum);
    } else {
      Global<SoftmaxPart>(args.column_part)
          .Store(row_tile * chunk.stride + column + at, JoinAll(columns, at, kWarpRows));
    }
  }

  // Σ_j (smoothing of i + smoothing of j)·z[i, j] over the warp's columns, for each of its rows.
  NAVIT_DEVICE static void Smooth(AllScores& z, const TileValues& of_row,
                                  const TileValues& of_column, Shared<float> to) {
    NAVIT_UNROLL
    for (int r = 0; r < ScoreSlots::kSlots; ++r) {
      const float smooth = of_row.OfRow(r);
      float sum = 0;
      NAVIT_UNROLL
      for (int s = 0; s < ScoreSlots::kSlots; ++s) {
        if (z.At(r, s) != kNone) sum = Fma(smooth + of_column.OfColumn(s), z.At(r, s), sum);
      }
      sum = LaneSum<4>(sum);
      if (LaneIndex() % 4 == 0) to.Store(ScoreSlots::Row(r), sum);
    }
  }

  NAVIT_DEVICE static SoftmaxPart JoinAll(Shared<SoftmaxPart> parts, int at, int count) {
    SoftmaxPart part = parts.Load(at);
    for (int i = 1; i < count; ++i) part = Join(part, parts.Load(i * kScoreTile + at));
    return part;
  }
};

// Joins the parts of tiles, [parts, stride], into (max, sum) of a row or column, a warp to each.
struct JoinParts {
  struct Args {
    int64_t parts, stride;
    const SoftmaxPart* part;
    bool join_before;  // with what max and sum hold
    float* max;
    float* sum;
    const float* smooth_part;  // null: no sums of smoothing
    float* smooth;
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t at) {
    const Global<float> max(args.max), sum(args.sum);
    SoftmaxPart total{kNone, 0};
    float smooth = 0;
    if (args.join_before && LaneIndex() == 0) total = {max.Load(at), sum.Load(at)};
    for (int64_t i = LaneIndex(); i < args.parts; i += kWarp) {
      total = Join(total, Global<const SoftmaxPart>(args.part).Load(i * args.stride + at));
      if (args.smooth_part != nullptr) {
        smooth += Global<const float>(args.smooth_part).Load(i * args.stride + at);
      }
    }
    const float most = LaneMax(total.max);
    const float all = LaneSum(total.sum * Exp(total.max - FiniteOrZero(most)));
    smooth = LaneSum(smooth);
    if (LaneIndex() != 0) return;
    max.Store(at, most);
    sum.Store(at, all);
    if (args.smooth_part != nullptr) Global<float>(args.smooth).Store(at, smooth);
  }
};

// The mean score of each row's positives and their number, a warp to a row.
struct PositivesOfRow {
  using Args = ContrastiveStatsArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const ContrastiveStrip& strip = args.strip;
    const int64_t own = Global<const int64_t>(strip.positive).Load(row);
    const uint64_t hash = strip.row_hash == nullptr || !strip.equal_are_positive
                              ? 0
                              : Global<const uint64_t>(strip.row_hash).Load(row);
    float sum = 0;
    int32_t count = 0;
    const auto add = [&](int64_t column) {
      if (strip.column_valid != nullptr &&
          Global<const uint8_t>(strip.column_valid).Load(column) == 0) {
        return;
      }
      sum += strip.scale * Dot(strip, row, column);
      ++count;
    };
    if (own >= 0 && hash == 0) {
      add(own);
    } else if (own >= 0) {
      for (int64_t first = 0; first < strip.columns; first += kWarp) {
        const int64_t mine = first + LaneIndex();
        const bool equal =
            mine < strip.columns && Global<const uint64_t>(strip.column_hash).Load(mine) == hash;
        if (LaneMax(equal ? 1.0f : 0.0f) == 0) continue;
        for (int lane = 0; lane < kWarp; ++lane) {
          if (ShuffleFrom(equal ? 1u : 0u, lane) != 0) add(first + lane);
        }
      }
    }
    if (LaneIndex() != 0) return;
    Global<float>(args.positive_score).Store(row, count == 0 ? 0 : sum / static_cast<float>(count));
    Global<float>(args.positive_part).Store(row, count == 0 ? 0 : 1 / static_cast<float>(count));
  }

  NAVIT_DEVICE static float Dot(const ContrastiveStrip& strip, int64_t row, int64_t column) {
    const Global<const Bf16> x = Global<const Bf16>(strip.x) + row * strip.dim;
    const Global<const Bf16> y = Global<const Bf16>(strip.y) + column * strip.dim;
    float sum = 0;
    for (int64_t i = RowBegin(); i < strip.dim; i += kRowStep) {
      float a[8], b[8];
      LoadEight(a, x, i, strip.dim);
      LoadEight(b, y, i, strip.dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) sum = Fma(a[j], b[j], sum);
    }
    return LaneSum(sum);
  }
};

// What the workspace holds, for the largest chunk: its cosines, parts of rows, as many of columns,
// and the rows' sums of smoothing.
struct Workspace {
  explicit Workspace(const ContrastiveStrip& strip) : chunk(strip, 0) {}
  int64_t RowParts() const { return chunk.tiles() * kScoreTile; }
  int64_t Bytes() const {
    constexpr int64_t kFloat = sizeof(float), kPart = sizeof(SoftmaxPart);
    return chunk.elements() * kFloat + RowParts() * (2 * kPart + kFloat);
  }
  const ScoreChunk chunk;
};

template <bool kSmooth>
LaunchError Tiles(const ContrastiveStatsArgs& args, Stream stream) {
  using Kernel = TileKernel<kSmooth>;
  const ContrastiveStrip& strip = args.strip;
  const Workspace workspace(strip);
  auto* cosines = static_cast<float*>(args.workspace);
  auto* row_part = reinterpret_cast<SoftmaxPart*>(cosines + workspace.chunk.elements());
  SoftmaxPart* column_part = row_part + workspace.RowParts();
  auto* smooth_part =
      kSmooth ? reinterpret_cast<float*>(column_part + workspace.RowParts()) : nullptr;
  // Without rows the columns have no pair, which the last join says.
  for (int64_t row = 0; row == 0 || row < strip.rows; row += strip.chunk) {
    const ScoreChunk chunk(strip, row);
    LaunchError error = ChunkCosines(strip, chunk, *args.engine, cosines, stream);
    if (!error.ok()) return error;
    error = Launch<Kernel>({chunk.tiles(), Kernel::kThreads, Kernel::kSharedBytes}, stream,
                           {strip, chunk, cosines, row_part, column_part, smooth_part});
    if (!error.ok()) return error;
    error = ForEachRow<JoinParts>(
        chunk.rows,
        {chunk.column_tiles, chunk.row_tiles * kScoreTile, row_part, false, args.row_max + row,
         args.row_sum + row, smooth_part, kSmooth ? args.smooth_score + row : nullptr},
        stream);
    if (!error.ok()) return error;
    error = ForEachRow<JoinParts>(strip.columns,
                                  {chunk.row_tiles, chunk.stride, column_part, row > 0,
                                   args.column_max, args.column_sum, nullptr, nullptr},
                                  stream);
    if (!error.ok()) return error;
  }
  return {};
}

}  // namespace

int64_t ContrastiveStatsWorkspace(const ContrastiveStrip& strip) {
  return Workspace(strip).Bytes();
}

LaunchError ContrastiveStats(const ContrastiveStatsArgs& args, Stream stream) {
  const LaunchError error = ForEachRow<PositivesOfRow>(args.strip.rows, args, stream);
  if (!error.ok()) return error;
  return args.smooth_score == nullptr ? Tiles<false>(args, stream) : Tiles<true>(args, stream);
}

}  // namespace navit::kernels::cuda
