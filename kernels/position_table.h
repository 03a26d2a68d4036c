// Learned position embedding (NaViT, section 3.1): each token's row and column coordinate select
// rows of learned tables, which are combined and added to the token.
#ifndef NAVIT_KERNELS_POSITION_TABLE_H_
#define NAVIT_KERNELS_POSITION_TABLE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// What the tables are and how the two axes meet, with a(u) = the row of a table at place u.
enum class PositionCombination {
  kSum,      // a(row) + b(column); two tables [table_rows, dim]
  kProduct,  // a(row) * b(column); two tables [table_rows, dim]
  kStack,    // a(row), then b(column); two tables [table_rows, dim / 2], dim even
  kJoint,    // one table [table_rows, table_rows, dim], read at (row, column)
};

// x[t, :] += combination at coordinates[t].
//   x            [tokens, dim]   updated in place
//   coordinates  [tokens, 2]     row, column, in [0, table_rows - 1], which the caller has checked;
//                                between two rows of a table the value is linear (bilinear)
//   row_table    as the combination says; column_table likewise (null for kJoint)
// A whole coordinate reads its row exactly. _cpu equals _ref to 1e-6 of the largest operand.
struct PositionTableForwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  PositionCombination combination = PositionCombination::kSum;
  const float* coordinates = nullptr;
  const float* row_table = nullptr;
  const float* column_table = nullptr;
  float* x = nullptr;
};

// Adds to the gradients of the tables, over t in ascending order. The gradient with respect to x is
// dx itself. row_table and column_table are read for kProduct alone.
struct PositionTableBackwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  PositionCombination combination = PositionCombination::kSum;
  const float* coordinates = nullptr;
  const float* row_table = nullptr;
  const float* column_table = nullptr;
  const float* dx = nullptr;
  float* drow_table = nullptr;
  float* dcolumn_table = nullptr;
};

// The two rows of a table between which a coordinate lies; at a whole one the second has weight 0.
struct PositionTap {
  int64_t low, high;
  float weight;  // of `high`

  PositionTap(float coordinate, int64_t table_rows)
      : low(static_cast<int64_t>(coordinate)),
        high(low + 1 < table_rows ? low + 1 : low),
        weight(coordinate - static_cast<float>(low)) {}
};

void PositionTableForward(const PositionTableForwardArgs& args, ThreadPool& pool);
void PositionTableBackward(const PositionTableBackwardArgs& args, ThreadPool& pool);

namespace ref {
void PositionTableForward(const PositionTableForwardArgs& args);
void PositionTableBackward(const PositionTableBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_POSITION_TABLE_H_
