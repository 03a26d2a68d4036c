// The gradients of a contrastive loss from a rule for single pairs, chunk by chunk: a tile kernel
// makes G, the gradients of the scores, for a chunk of the strip, and two products take it to x
// and to y. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_CONTRASTIVE_GRADIENT_H_
#define NAVIT_KERNELS_CUDA_CONTRASTIVE_GRADIENT_H_

#include <cstdint>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/contrastive_pairs.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/product_tiles.h"

namespace navit::kernels::cuda {

// What a rule sums over pairs beside the gradients.
inline constexpr int kPairSums = 3;

// G of one chunk in the workspace: [rows, columns] of whole tiles, zeros where no pair counts.
struct GradientChunk {
  int64_t row = 0, column = 0;  // the first
  int64_t row_tiles = 0, column_tiles = 0;
  Bf16* gradient = nullptr;  // [row_tiles·128, column_tiles·128]
  double* sums = nullptr;    // [tiles, kPairSums]
};

// A Rule has
//   struct Args; Rule(const ScoreTile&, const ContrastiveStrip&, const Args&, int offset);
//   kSharedBytes, what it takes of shared memory from `offset` on; a barrier follows the
//   constructor void Column(int column_slot); void Row(int row_slot);  (ScoreTile::Visit) float
//   Gradient(float cosine, PairKind, int row_slot, int column_slot, float (&sums)[3]): of a pair
//   that counts, with respect to its score.
template <typename Rule>
struct GradientKernel {
  struct Args {
    ContrastiveStrip strip;
    typename Rule::Args rule;
    GradientChunk chunk;
  };
  static constexpr int kThreads = kProductThreads;
  static constexpr int kMinBlocks = 2;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kRuleOffset = kProductSharedBytes + ScoreTile::kSharedBytes;
  static constexpr int kSumsOffset = kRuleOffset + Rule::kSharedBytes;
  static constexpr int64_t kSharedBytes = kSumsOffset + kWarps * kPairSums * 4;

  struct Visitor {
    Rule& rule;
    float sums[kPairSums];
    NAVIT_DEVICE void Column(int s) { rule.Column(s); }
    NAVIT_DEVICE void Row(int r) { rule.Row(r); }
    NAVIT_DEVICE void Pair(float& z, PairKind kind, int r, int s) {
      z = kind.counts ? rule.Gradient(z, kind, r, s, sums) : 0;
    }
  };

  NAVIT_DEVICE static void Run(const Args& args) {
    const GradientChunk& chunk = args.chunk;
    const int block = static_cast<int>(BlockIndex());
    const int row_tiles = static_cast<int>(chunk.row_tiles);
    const int row = block % row_tiles * kProductTile;
    const int column = block / row_tiles * kProductTile;
    const ScoreTile tile(args.strip, chunk.row + row, chunk.column + column, kProductSharedBytes);
    Rule rule(tile, args.strip, args.rule, kRuleOffset);
    ProductTile z;
    tile.Cosines(z);
    Visitor visitor{rule, {}};
    tile.Visit(z, visitor);

    const int stride = static_cast<int>(chunk.column_tiles) * kProductTile;
    const Global<Bf16> to =
        Global<Bf16>(chunk.gradient) + (static_cast<int64_t>(row) * stride + column);
    NAVIT_UNROLL
    for (int r = 0; r < ProductTile::kSlots; ++r) {
      NAVIT_UNROLL
      for (int s = 0; s < ProductTile::kSlots; s += 2) {
        to.StoreAs<uint32_t>(ProductTile::Row(r) * stride + ProductTile::Column(s),
                             PackBf16(z.At(r, s), z.At(r, s + 1)));
      }
    }
    const Shared<float> sums = SharedMemory<float>(kSumsOffset, kWarps * kPairSums);
    NAVIT_UNROLL
    for (int i = 0; i < kPairSums; ++i) {
      const float sum = LaneSum(visitor.sums[i]);
      if (LaneIndex() == 0) sums.Store(WarpIndex() * kPairSums + i, sum);
    }
    BlockBarrier();
    if (ThreadIndex() >= kPairSums) return;
    double sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += sums.Load(warp * kPairSums + ThreadIndex());
    Global<double>(chunk.sums).Store(BlockIndex() * kPairSums + ThreadIndex(), sum);
  }
};

// dx += scale·G·y and dy += scale·Gᵀ·x of the chunk, and *total[i] += weight times its sums for
// those that are not null.
LaunchError AddChunkGradients(const ContrastiveStrip& strip, const GradientChunk& chunk, float* dx,
                              float* dy, double weight, double* const (&total)[kPairSums],
                              Stream stream);

// All of the strip: dx, dy and totals are assigned.
template <typename Rule>
LaunchError ContrastiveGradients(const ContrastiveStrip& strip, const typename Rule::Args& rule,
                                 float* dx, float* dy, double weight,
                                 double* const (&total)[kPairSums], void* workspace,
                                 Stream stream) {
  using Kernel = GradientKernel<Rule>;
  constexpr int64_t kFloat = sizeof(float);
  LaunchError error = FillZero(dx, strip.rows * strip.dim * kFloat, stream);
  if (error.ok()) error = FillZero(dy, strip.columns * strip.dim * kFloat, stream);
  for (double* sum : total) {
    if (error.ok() && sum != nullptr) error = FillZero(sum, sizeof(double), stream);
  }
  const auto tiles = [&](int64_t left) {
    return ProductTiles(left < strip.chunk ? left : strip.chunk);
  };
  GradientChunk chunk;
  chunk.gradient = static_cast<Bf16*>(workspace);
  chunk.sums = reinterpret_cast<double*>(chunk.gradient + tiles(strip.rows) * tiles(strip.columns) *
                                                              kProductTile * kProductTile);
  for (chunk.row = 0; chunk.row < strip.rows; chunk.row += strip.chunk) {
    for (chunk.column = 0; chunk.column < strip.columns; chunk.column += strip.chunk) {
      chunk.row_tiles = tiles(strip.rows - chunk.row);
      chunk.column_tiles = tiles(strip.columns - chunk.column);
      if (!error.ok()) return error;
      error = Launch<Kernel>(
          {chunk.row_tiles * chunk.column_tiles, Kernel::kThreads, Kernel::kSharedBytes}, stream,
          {strip, rule, chunk});
      if (!error.ok()) return error;
      error = AddChunkGradients(strip, chunk, dx, dy, weight, total, stream);
    }
  }
  return error;
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_CONTRASTIVE_GRADIENT_H_
