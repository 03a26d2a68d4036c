#include "kernels/position_table.h"

namespace navit::kernels::ref {

void PositionTableForward(const PositionTableForwardArgs& args) {
  for (int64_t t = 0; t < args.tokens; ++t) {
    const float* row = args.row_table + args.positions[2 * t] * args.dim;
    const float* column = args.column_table + args.positions[2 * t + 1] * args.dim;
    float* x = args.x + t * args.dim;
    for (int64_t d = 0; d < args.dim; ++d) {
      x[d] = static_cast<float>(static_cast<double>(x[d]) + row[d] + column[d]);
    }
  }
}

void PositionTableBackward(const PositionTableBackwardArgs& args) {
  for (int64_t t = 0; t < args.tokens; ++t) {
    float* drow = args.drow_table + args.positions[2 * t] * args.dim;
    float* dcolumn = args.dcolumn_table + args.positions[2 * t + 1] * args.dim;
    const float* dx = args.dx + t * args.dim;
    for (int64_t d = 0; d < args.dim; ++d) {
      drow[d] += dx[d];
      dcolumn[d] += dx[d];
    }
  }
}

}  // namespace navit::kernels::ref
