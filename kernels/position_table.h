// Factorized absolute position embedding (NaViT, section 3.1, "sum"): each token's row and column
// index select one row each of two learned tables, which are added to the token.
#ifndef NAVIT_KERNELS_POSITION_TABLE_H_
#define NAVIT_KERNELS_POSITION_TABLE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// x[t, :] += row_table[positions[t, 0], :] + column_table[positions[t, 1], :]
//   x          [tokens, dim]     updated in place
//   positions  [tokens, 2]       row, column; each < table_rows, which the caller has checked
//   tables     [table_rows, dim]
// _cpu equals _ref to 1 ulp of the largest operand.
struct PositionTableForwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  const uint16_t* positions = nullptr;
  const float* row_table = nullptr;
  const float* column_table = nullptr;
  float* x = nullptr;
};

// drow_table[positions[t, 0], :] += dx[t, :], and so for the columns, over t in ascending order.
// The gradient with respect to x is dx itself.
struct PositionTableBackwardArgs {
  int64_t tokens = 0, dim = 0, table_rows = 0;
  const uint16_t* positions = nullptr;
  const float* dx = nullptr;
  float* drow_table = nullptr;
  float* dcolumn_table = nullptr;
};

void PositionTableForward(const PositionTableForwardArgs& args, ThreadPool& pool);
void PositionTableBackward(const PositionTableBackwardArgs& args, ThreadPool& pool);

namespace ref {
void PositionTableForward(const PositionTableForwardArgs& args);
void PositionTableBackward(const PositionTableBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_POSITION_TABLE_H_
