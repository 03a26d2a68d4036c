#include "kernels/position_table.h"

namespace navit::kernels::ref {
namespace {

// One element of a table at a place between two rows; `row` is the length of a row.
double Read(const float* table, const PositionTap& tap, int64_t row, int64_t d) {
  return (1.0 - tap.weight) * table[tap.low * row + d] +
         static_cast<double>(tap.weight) * table[tap.high * row + d];
}

void Add(double value, const PositionTap& tap, int64_t row, int64_t d, float* table) {
  table[tap.low * row + d] += static_cast<float>((1.0 - tap.weight) * value);
  table[tap.high * row + d] += static_cast<float>(tap.weight * value);
}

}  // namespace

void PositionTableForward(const PositionTableForwardArgs& args) {
  const int64_t dim = args.dim, half = dim / 2;
  for (int64_t t = 0; t < args.tokens; ++t) {
    const PositionTap row(args.coordinates[2 * t], args.table_rows);
    const PositionTap column(args.coordinates[2 * t + 1], args.table_rows);
    float* x = args.x + t * dim;
    for (int64_t d = 0; d < dim; ++d) {
      double value = 0;
      switch (args.combination) {
        case PositionCombination::kSum:
          value = Read(args.row_table, row, dim, d) + Read(args.column_table, column, dim, d);
          break;
        case PositionCombination::kProduct:
          value = Read(args.row_table, row, dim, d) * Read(args.column_table, column, dim, d);
          break;
        case PositionCombination::kStack:
          value = d < half ? Read(args.row_table, row, half, d)
                           : Read(args.column_table, column, half, d - half);
          break;
        case PositionCombination::kJoint: {
          const float* low = args.row_table + row.low * args.table_rows * dim;
          const float* high = args.row_table + row.high * args.table_rows * dim;
          value = (1.0 - row.weight) * Read(low, column, dim, d) +
                  row.weight * Read(high, column, dim, d);
          break;
        }
      }
      x[d] = static_cast<float>(x[d] + value);
    }
  }
}

void PositionTableBackward(const PositionTableBackwardArgs& args) {
  const int64_t dim = args.dim, half = dim / 2;
  for (int64_t t = 0; t < args.tokens; ++t) {
    const PositionTap row(args.coordinates[2 * t], args.table_rows);
    const PositionTap column(args.coordinates[2 * t + 1], args.table_rows);
    const float* dx = args.dx + t * dim;
    for (int64_t d = 0; d < dim; ++d) {
      switch (args.combination) {
        case PositionCombination::kSum:
          Add(dx[d], row, dim, d, args.drow_table);
          Add(dx[d], column, dim, d, args.dcolumn_table);
          break;
        case PositionCombination::kProduct:
          Add(dx[d] * Read(args.column_table, column, dim, d), row, dim, d, args.drow_table);
          Add(dx[d] * Read(args.row_table, row, dim, d), column, dim, d, args.dcolumn_table);
          break;
        case PositionCombination::kStack:
          if (d < half) {
            Add(dx[d], row, half, d, args.drow_table);
          } else {
            Add(dx[d], column, half, d - half, args.dcolumn_table);
          }
          break;
        case PositionCombination::kJoint:
          Add((1.0 - row.weight) * dx[d], column, dim, d,
              args.drow_table + row.low * args.table_rows * dim);
          Add(static_cast<double>(row.weight) * dx[d], column, dim, d,
              args.drow_table + row.high * args.table_rows * dim);
          break;
      }
    }
  }
}

}  // namespace navit::kernels::ref
