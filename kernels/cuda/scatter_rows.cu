#include "kernels/cuda/device.h"
#include "kernels/cuda/scatter_rows.h"

namespace navit::kernels::cuda {
namespace {

constexpr int kColumns = 4;  // of a lane
constexpr int kBatch = 8;    // selections whose loads are in flight together
constexpr int kBlockColumns = kColumns * kWarp;

struct alignas(8) FourBf16 {
  Bf16 value[kColumns] = {};
};

// A block has kBlockColumns columns of a row of the table. Its warps take the row's selections in
// turn, a batch each, and their sums are added up in order.
struct ScatterKernel {
  struct Args {
    ScatterRowsArgs scatter;
    int64_t column_blocks;
  };
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarp;

  NAVIT_DEVICE static FourBf16 Load(Global<const Bf16> dy, int64_t column, int64_t dim,
                                    bool aligned) {
    if (aligned) return dy.LoadAs<FourBf16>(column);
    FourBf16 values;
    NAVIT_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      if (column + j < dim) values.value[j] = dy.Load(column + j);
    }
    return values;
  }

  NAVIT_DEVICE static void Sum(const ScatterRowsArgs& args, const SelectedRow& row, int64_t column,
                               float (&sums)[kColumns]) {
    const bool aligned = args.dim % kColumns == 0 && args.dy_stride % kColumns == 0;
    const Global<const Selection> selections = Global<const Selection>(args.selection) + row.first;
    const Global<const Bf16> dy(args.dy);
    for (int i = WarpIndex() * kBatch; i < row.count; i += kWarps * kBatch) {
      Selection selection[kBatch];
      FourBf16 values[kBatch];
      NAVIT_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        if (i + k < row.count) selection[k] = selections.Load(i + k);
      }
      NAVIT_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        if (i + k >= row.count) break;
        values[k] = Load(dy + selection[k].token * args.dy_stride, column, args.dim, aligned);
      }
      NAVIT_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        if (i + k >= row.count) break;
        NAVIT_UNROLL
        for (int j = 0; j < kColumns; ++j) {
          sums[j] = Fma(selection[k].weight, ToFloat(values[k].value[j]), sums[j]);
        }
      }
    }
  }

  NAVIT_DEVICE static void Run(const Args& args) {
    const ScatterRowsArgs& scatter = args.scatter;
    const int64_t first = BlockIndex() % args.column_blocks * kBlockColumns;
    const SelectedRow row =
        Global<const SelectedRow>(scatter.row).Load(BlockIndex() / args.column_blocks);
    const int64_t mine = LaneIndex() * kColumns;
    float sums[kColumns] = {};
    if (first + mine < scatter.dim) Sum(scatter, row, first + mine, sums);
    const Shared<float> shared = SharedMemory<float>(0, kWarps * kBlockColumns);
    NAVIT_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      shared.Store(WarpIndex() * kBlockColumns + mine + j, sums[j]);
    }
    BlockBarrier();
    const int column = ThreadIndex();
    if (column >= kBlockColumns || first + column >= scatter.dim) return;
    float sum = 0;
    for (int warp = 0; warp < kWarps; ++warp) sum += shared.Load(warp * kBlockColumns + column);
    const Global<float> dtable =
        Global<float>(scatter.dtable) + (row.row * scatter.dim + first + column);
    dtable.Store(0, dtable.Load(0) + sum);
  }
};

}  // namespace

LaunchError ScatterRows(const ScatterRowsArgs& args, Stream stream) {
  const int64_t column_blocks = (args.dim + kBlockColumns - 1) / kBlockColumns;
  constexpr auto kShared =
      static_cast<int64_t>(ScatterKernel::kWarps * kBlockColumns * sizeof(float));
  return Launch<ScatterKernel>({args.rows * column_blocks, ScatterKernel::kThreads, kShared},
                               stream, {args, column_blocks});
}

}  // namespace navit::kernels::cuda
