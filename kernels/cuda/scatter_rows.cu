#include "kernels/cuda/device.h"
#include "kernels/cuda/scatter_rows.h"

namespace navit::kernels::cuda {
namespace {

struct ScatterKernel {
  struct Args {
    ScatterRowsArgs scatter;
    int64_t column_blocks;
  };
  static constexpr int kThreads = 128;

  NAVIT_DEVICE static void Run(const Args& args) {
    const ScatterRowsArgs& scatter = args.scatter;
    const int64_t column = BlockIndex() % args.column_blocks * kThreads + ThreadIndex();
    if (column >= scatter.dim) return;
    const SelectedRow row =
        Global<const SelectedRow>(scatter.row).Load(BlockIndex() / args.column_blocks);
    const Global<const Selection> selections =
        Global<const Selection>(scatter.selection) + row.first;
    const Global<const Bf16> dy(scatter.dy);
    float sum = 0;
    for (int i = 0; i < row.count; ++i) {
      const Selection selection = selections.Load(i);
      sum = Fma(selection.weight, ToFloat(dy.Load(selection.token * scatter.dy_stride + column)),
                sum);
    }
    const Global<float> dtable = Global<float>(scatter.dtable) + row.row * scatter.dim;
    dtable.Store(column, dtable.Load(column) + sum);
  }
};

}  // namespace

LaunchError ScatterRows(const ScatterRowsArgs& args, Stream stream) {
  const int64_t column_blocks = (args.dim + ScatterKernel::kThreads - 1) / ScatterKernel::kThreads;
  return Launch<ScatterKernel>({args.rows * column_blocks, ScatterKernel::kThreads, 0}, stream,
                               {args, column_blocks});
}

}  // namespace navit::kernels::cuda
