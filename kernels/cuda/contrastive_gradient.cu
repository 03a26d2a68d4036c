#include "kernels/cuda/contrastive_gradient.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/product_tiles.h"

namespace navit::kernels::cuda {
namespace {

struct alignas(8) FloatPair {
  float low, high;
};

// to [across, dim] += scale·A·from: A is G [across, depth], or kTransposed, from [depth, dim].
template <bool kTransposed>
struct AddProductKernel {
  struct Args {
    const Bf16* gradient;
    int64_t stride;         // of its rows
    int64_t across, depth;  // inside the strip
    const Bf16* from;
    float* to;
    int64_t dim, dim_tiles;
    float scale;
  };
  static constexpr int kThreads = kProductThreads;
  static constexpr int kMinBlocks = 2;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t first = BlockIndex() / args.dim_tiles * kProductTile;
    const int64_t column = BlockIndex() % args.dim_tiles * kProductTile;
    const ProductOperand<kTransposed> a(args.gradient, kTransposed ? args.depth : args.across,
                                        args.stride, args.stride, first);
    const ProductOperand<true> b(args.from, args.depth, args.dim, args.dim, column);
    ProductTile product;
    product.Multiply(a, b, static_cast<int>(args.depth));
    const Global<float> to(args.to);
    NAVIT_UNROLL
    for (int r = 0; r < ProductTile::kSlots; ++r) {
      const int64_t row = first + ProductTile::Row(r);
      if (row >= args.across) continue;
      NAVIT_UNROLL
      for (int s = 0; s < ProductTile::kSlots; s += 2) {
        const int64_t d = column + ProductTile::Column(s);
        if (d >= args.dim) continue;
        FloatPair sum = to.LoadAs<FloatPair>(row * args.dim + d);
        sum.low = Fma(args.scale, product.At(r, s), sum.low);
        sum.high = Fma(args.scale, product.At(r, s + 1), sum.high);
        to.StoreAs(row * args.dim + d, sum);
      }
    }
  }
};

// The sums of all tiles to the totals, each by a warp.
struct AddSumsKernel {
  struct Args {
    int64_t tiles;
    const double* sums;
    double weight;
    double* total[kPairSums];
  };
  static constexpr int kThreads = kPairSums * kWarp;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int which = WarpIndex();
    const Global<double> total(args.total[which]);
    if (!total) return;
    double sum = 0;
    for (int64_t tile = LaneIndex(); tile < args.tiles; tile += kWarp) {
      sum += Global<const double>(args.sums).Load(tile * kPairSums + which);
    }
    sum = LaneSum(sum);
    if (LaneIndex() == 0) total.Store(0, total.Load(0) + args.weight * sum);
  }
};

template <bool kTransposed>
LaunchError AddProduct(const ContrastiveStrip& strip, const GradientChunk& chunk, int64_t across,
                       int64_t depth, const Bf16* from, float* to, Stream stream) {
  const int64_t dim = strip.dim, dim_tiles = ProductTiles(dim);
  return Launch<AddProductKernel<kTransposed>>(
      {ProductTiles(across) * dim_tiles, kProductThreads, kProductSharedBytes}, stream,
      {chunk.gradient, chunk.column_tiles * kProductTile, across, depth, from, to, dim, dim_tiles,
       strip.scale});
}

}  // namespace

LaunchError AddChunkGradients(const ContrastiveStrip& strip, const GradientChunk& chunk, float* dx,
                              float* dy, double weight, double* const (&total)[kPairSums],
                              Stream stream) {
  const auto count = [](int64_t left, int64_t tiles) {
    return left < tiles * kProductTile ? left : tiles * kProductTile;
  };
  const int64_t rows = count(strip.rows - chunk.row, chunk.row_tiles);
  const int64_t columns = count(strip.columns - chunk.column, chunk.column_tiles);
  const int64_t row = chunk.row * strip.dim, column = chunk.column * strip.dim;
  LaunchError error =
      AddProduct<false>(strip, chunk, rows, columns, strip.y + column, dx + row, stream);
  if (!error.ok()) return error;
  error = AddProduct<true>(strip, chunk, columns, rows, strip.x + row, dy + column, stream);
  if (!error.ok()) return error;
  return Launch<AddSumsKernel>(
      {1, AddSumsKernel::kThreads, 0}, stream,
      {chunk.row_tiles * chunk.column_tiles, chunk.sums, weight, {total[0], total[1], total[2]}});
}

int64_t ContrastiveGradientWorkspace(const ContrastiveStrip& strip) {
  const auto tiles = [&](int64_t count) {
    return ProductTiles(count < strip.chunk ? count : strip.chunk);
  };
  return tiles(strip.rows) * tiles(strip.columns) *
         static_cast<int64_t>(kProductTile * kProductTile * sizeof(Bf16) +
                              kPairSums * sizeof(double));
}

}  // namespace navit::kernels::cuda
