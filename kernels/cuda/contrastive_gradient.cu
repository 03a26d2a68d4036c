#include "kernels/cuda/contrastive_gradient.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/score_tile.h"

namespace navit::kernels::cuda {
namespace {

// The sums of a chunk's tiles to the totals, each by a block.
struct AddSumsKernel {
  struct Args {
    int64_t tiles;
    const double* sums;
    double weight;
    double* total[kPairSums];
  };
  static constexpr int kThreads = 1024;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int64_t kSharedBytes = kWarps * sizeof(double);

  NAVIT_DEVICE static void Run(const Args& args) {
    const int which = static_cast<int>(BlockIndex());
    const Global<double> total(args.total[which]);
    if (!total) return;
    double sum = 0;
    for (int64_t tile = ThreadIndex(); tile < args.tiles; tile += kThreads) {
      sum += Global<const double>(args.sums).Load(tile * kPairSums + which);
    }
    sum = LaneSum(sum);
    const Shared<double> of_warps = SharedMemory<double>(0, kWarps);
    if (LaneIndex() == 0) of_warps.Store(WarpIndex(), sum);
    BlockBarrier();
    if (WarpIndex() != 0) return;
    sum = LaneSum(of_warps.Load(LaneIndex()));
    if (LaneIndex() == 0) total.Store(0, total.Load(0) + args.weight * sum);
  }
};

}  // namespace

LaunchError ChunkGradients(const ContrastiveStrip& strip, const GradientChunk& chunk,
                           LinearEngine& engine, float* dx, float* dy, Stream stream) {
  const ScoreChunk& scores = chunk.scores;
  const int64_t dim = strip.dim;
  const LaunchError error = engine.Multiply({.rows = scores.rows,
                                             .columns = dim,
                                             .depth = strip.columns,
                                             .a = chunk.gradient,
                                             .a_stride = scores.stride,
                                             .b = strip.y,
                                             .b_stride = dim,
                                             .to = dx + scores.row * dim,
                                             .to_stride = dim,
                                             .factor = strip.scale},
                                            stream);
  if (!error.ok()) return error;
  return engine.Multiply({.rows = strip.columns,
                          .columns = dim,
                          .depth = scores.rows,
                          .a = chunk.gradient,
                          .a_stride = scores.stride,
                          .a_transposed = true,
                          .b = strip.x + scores.row * dim,
                          .b_stride = dim,
                          .to = dy,
                          .to_stride = dim,
                          .factor = strip.scale,
                          .accumulate = scores.row > 0},
                         stream);
}

LaunchError AddChunkSums(const GradientChunk& chunk, double weight,
                         double* const (&total)[kPairSums], Stream stream) {
  return Launch<AddSumsKernel>(
      {kPairSums, AddSumsKernel::kThreads, AddSumsKernel::kSharedBytes}, stream,
      {chunk.scores.tiles(), chunk.sums, weight, {total[0], total[1], total[2]}});
}

int64_t ContrastiveGradientWorkspace(const ContrastiveStrip& strip) {
  const ScoreChunk chunk(strip, 0);
  return chunk.elements() * static_cast<int64_t>(sizeof(float) + sizeof(Bf16)) +
         chunk.tiles() * static_cast<int64_t>(kPairSums * sizeof(double));
}

}  // namespace navit::kernels::cuda
