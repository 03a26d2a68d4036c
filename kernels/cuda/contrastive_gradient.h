// The gradients of a contrastive loss from a rule for single pairs, chunk by chunk: a tile kernel
// makes G, the gradients of the scores, of a chunk's cosines, and two products take it to x and to
// y. For .cu files.
#ifndef NAVIT_KERNELS_CUDA_CONTRASTIVE_GRADIENT_H_
#define NAVIT_KERNELS_CUDA_CONTRASTIVE_GRADIENT_H_

#include <cstdint>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/contrastive_pairs.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/score_tile.h"

namespace navit::kernels::cuda {

// What a rule sums over pairs beside the gradients.
inline constexpr int kPairSums = 3;

// Of one chunk, in the workspace.
struct GradientChunk {
  ScoreChunk scores;
  float* cosines;  // [row_tiles·128, stride]
  Bf16* gradient;  // the same, zeros where no pair counts
  double* sums;    // [tiles, kPairSums]
};

// A Rule has
//   struct Args; Rule(const ScoreTile&, const ContrastiveStrip&, const Args&, int offset);
//   kSharedBytes: what it takes of shared memory from `offset` on; a barrier follows the
//     constructor
//   void Column(int column_slot); void Row(int row_slot);  // ScoreTile::Visit
//   float Gradient(float cosine, PairKind, int row_slot, int column_slot, float (&sums)[3]): of a
//     pair that counts, with respect to its score.
template <typename Rule>
struct GradientKernel {
  struct Args {
    ContrastiveStrip strip;
    typename Rule::Args rule;
    GradientChunk chunk;
  };
  static constexpr int kThreads = kScoreThreads;
  static constexpr int kMinBlocks = 2;
  static constexpr int kRowSlots = 4;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kRuleOffset = ScoreTile::kSharedBytes;
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
    const ScoreChunk& scores = chunk.scores;
    const int column_tiles = static_cast<int>(scores.column_tiles);
    const int stride = column_tiles * kScoreTile;
    // Blocks that run together read whole rows.
    const int row = static_cast<int>(BlockIndex()) / column_tiles * kScoreTile;
    const int column = static_cast<int>(BlockIndex()) % column_tiles * kScoreTile;
    const int64_t first = static_cast<int64_t>(row) * stride + column;
    const ScoreTile tile(args.strip, scores.row + row, column, 0);
    Rule rule(tile, args.strip, args.rule, kRuleOffset);
    BlockBarrier();
    Visitor visitor{rule, {}};
    // By halves: all of a tile and what the rule holds do not fit into the registers.
    for (int slot = 0; slot < ScoreSlots::kSlots; slot += kRowSlots) {
      ScoreRegisters<kRowSlots> z(slot);
      z.Load(Global<const float>(chunk.cosines) + first, stride,
             static_cast<int>(scores.rows) - row, static_cast<int>(args.strip.columns) - column);
      tile.Visit(z, visitor);
      z.StoreBf16(Global<Bf16>(chunk.gradient) + first, stride);
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

// dx of the chunk's rows = scale·G·y; dy = scale·Gᵀ·x of the first chunk, += that of others.
LaunchError ChunkGradients(const ContrastiveStrip& strip, const GradientChunk& chunk,
                           LinearEngine& engine, float* dx, float* dy, Stream stream);

// *total[i] += weight·Σ of the chunk's sums, for those that are not null.
LaunchError AddChunkSums(const GradientChunk& chunk, double weight,
                         double* const (&total)[kPairSums], Stream stream);

// All of the strip: dx, dy and totals are assigned.
template <typename Rule>
LaunchError ContrastiveGradients(const ContrastiveStrip& strip, LinearEngine& engine,
                                 const typename Rule::Args& rule, float* dx, float* dy,
                                 double weight, double* const (&total)[kPairSums], void* workspace,
                                 Stream stream) {
  using Kernel = GradientKernel<Rule>;
  for (double* sum : total) {
    if (sum == nullptr) continue;
    const LaunchError error = FillZero(sum, sizeof(double), stream);
    if (!error.ok()) return error;
  }
  if (strip.rows == 0 || strip.columns == 0) {
    constexpr int64_t kFloat = sizeof(float);
    const LaunchError error = FillZero(dx, strip.rows * strip.dim * kFloat, stream);
    if (!error.ok()) return error;
    return FillZero(dy, strip.columns * strip.dim * kFloat, stream);
  }
  const int64_t elements = ScoreChunk(strip, 0).elements();
  auto* cosines = static_cast<float*>(workspace);
  auto* gradient = reinterpret_cast<Bf16*>(cosines + elements);
  auto* sums = reinterpret_cast<double*>(gradient + elements);
  for (int64_t row = 0; row < strip.rows; row += strip.chunk) {
    const GradientChunk chunk{ScoreChunk(strip, row), cosines, gradient, sums};
    LaunchError error = ChunkCosines(strip, chunk.scores, engine, cosines, stream);
    if (!error.ok()) return error;
    error = Launch<Kernel>({chunk.scores.tiles(), Kernel::kThreads, Kernel::kSharedBytes}, stream,
                           {strip, rule, chunk});
    if (!error.ok()) return error;
    error = ChunkGradients(strip, chunk, engine, dx, dy, stream);
    if (!error.ok()) return error;
    error = AddChunkSums(chunk, weight, total, stream);
    if (!error.ok()) return error;
  }
  return {};
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_CONTRASTIVE_GRADIENT_H_
