// Gradients of tables whose rows tokens select: the backward pass of the token embedding and of the
// position tables. The host, which knows the selections, sorts them by row once per batch, so that
// every row is summed by one block per group of columns, without atomics. The order of a row's sum
// depends on the number and the order of its selections alone.
#ifndef NAVIT_KERNELS_CUDA_SCATTER_ROWS_H_
#define NAVIT_KERNELS_CUDA_SCATTER_ROWS_H_

#include <cstdint>
#include <vector>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// `token` selects a row of the table with `weight`.
struct alignas(8) Selection {
  int32_t token = 0;
  float weight = 1;
};

// Selections [first, first + count) are of row `row`.
struct alignas(16) SelectedRow {
  int32_t row = 0;
  int32_t first = 0, count = 0;
  int32_t unused = 0;
};

struct ScatterWork {
  std::vector<SelectedRow> rows;
  std::vector<Selection> selections;
};

// rows[i] is what selections[i] selects, in [0, table_rows). Selections of one row keep their
// order.
ScatterWork MakeScatterWork(const std::vector<int32_t>& rows,
                            const std::vector<Selection>& selections, int32_t table_rows);

// dtable[r, d] += Σ weight·dy[token·dy_stride + d] over the selections of r, d in [0, dim). dtable
// [table_rows, dim] fp32, dy bf16, 8-byte aligned; `row` and `selection` are the arrays of a ScatterWork in device
// memory. Tolerance: 1e-5 of Σ|weight·dy|.
struct ScatterRowsArgs {
  int64_t rows = 0, dim = 0;
  const SelectedRow* row = nullptr;
  const Selection* selection = nullptr;
  const Bf16* dy = nullptr;
  int64_t dy_stride = 0;
  float* dtable = nullptr;
};

LaunchError ScatterRows(const ScatterRowsArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_SCATTER_ROWS_H_
