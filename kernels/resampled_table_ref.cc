#include "kernels/resampled_table.h"

namespace navit::kernels::ref {
namespace {

double Weight(const float* weights, int64_t token, int64_t table_rows, int64_t cell) {
  const float* of_token = weights + token * 2 * table_rows;
  return static_cast<double>(of_token[cell / table_rows]) *
         of_token[table_rows + cell % table_rows];
}

}  // namespace

void ResampledTableForward(const ResampledTableForwardArgs& args) {
  const int64_t cells = args.table_rows * args.table_rows;
  for (int64_t t = 0; t < args.tokens; ++t) {
    for (int64_t d = 0; d < args.dim; ++d) {
      double value = args.x[t * args.dim + d];
      for (int64_t cell = 0; cell < cells; ++cell) {
        value += Weight(args.weights, t, args.table_rows, cell) * args.table[cell * args.dim + d];
      }
      args.x[t * args.dim + d] = static_cast<float>(value);
    }
  }
}

void ResampledTableBackward(const ResampledTableBackwardArgs& args) {
  const int64_t cells = args.table_rows * args.table_rows;
  for (int64_t cell = 0; cell < cells; ++cell) {
    for (int64_t d = 0; d < args.dim; ++d) {
      double value = args.dtable[cell * args.dim + d];
      for (int64_t t = 0; t < args.tokens; ++t) {
        value += Weight(args.weights, t, args.table_rows, cell) * args.dx[t * args.dim + d];
      }
      args.dtable[cell * args.dim + d] = static_cast<float>(value);
    }
  }
}

}  // namespace navit::kernels::ref
