// The softmax contrastive loss (InfoNCE, both directions) on one rank's strip of the N×N matrix of
// scores z[i, j] = scale·(x[i]·y[j]), which never exists as a whole: a strip is walked in tiles.
//
// With N valid pairs in the global batch the loss is
//   L = 1/(2N)·Σ_i [lse_j z[i, j] − z[i, p(i)]] + 1/(2N)·Σ_j [lse_i z[i, j] − z[p⁻¹(j), j]].
// One rank does:
//   1. ContrastiveStats over its n rows and all N columns: (max, sum) of exp per row and per
//   column,
//      and the positives' scores. Rows are complete; columns hold this rank's rows only.
//   2. All-reduce (max) of a copy of column_max, RescaleSoftmaxSums of column_sum to that maximum,
//      all-reduce (sum) of column_sum: columns are now complete on every rank.
//   3. SoftmaxLogSum turns (max, sum) into lse for rows and columns. The loss is Σ over rows of
//      w·(row_lse − positive) (summed over ranks) + Σ over columns of w·column_lse − w·positive.
//   4. ContrastiveBackward recomputes the tiles: dx is complete, dy is this rank's part and goes to
//      the owners of the text rows by reduce-scatter, dscale is summed over ranks.
#ifndef NAVIT_KERNELS_CONTRASTIVE_H_
#define NAVIT_KERNELS_CONTRASTIVE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// The strip. Pairs (i, j) that count: row i valid, column j valid, and not (equal non-zero caption
// hashes while j is not the positive of i). Invalid rows and columns add exactly nothing; they must
// hold finite numbers (zeros, say).
struct ContrastiveStrip {
  int64_t rows = 0;     // n: this rank's images
  int64_t columns = 0;  // N: all ranks' texts, in rank order
  int64_t dim = 0;
  const float* x = nullptr;  // [rows, dim]
  const float* y = nullptr;  // [columns, dim]
  float scale = 1;           // exp of the logit-scale parameter
  // [rows]: the column of each row's own caption; a negative one marks an invalid row.
  const int64_t* positive = nullptr;
  // [columns]: 0 marks an invalid column. Null: all are valid.
  const uint8_t* column_valid = nullptr;
  // [rows] and [columns]: pairs of equal non-zero hashes off the positive are left out. Both null:
  // such pairs are negatives like any other.
  const uint64_t* row_hash = nullptr;
  const uint64_t* column_hash = nullptr;
};

// All assigned. Of a row or column without a counting pair: max −∞, sum 0; positive score 0 when
// invalid. sum = Σ exp(z − max).
struct ContrastiveStatsArgs {
  ContrastiveStrip strip;
  float* row_max = nullptr;         // [rows]
  float* row_sum = nullptr;         // [rows]
  float* column_max = nullptr;      // [columns]
  float* column_sum = nullptr;      // [columns]
  float* positive_score = nullptr;  // [rows]: z[i, positive[i]]
};

// With G[i, j] = row_weight·(exp(z − row_lse[i]) − [j = positive[i]])
//              + column_weight·(exp(z − column_lse[j]) − [j = positive[i]]) for pairs that count:
//   dx[i] = scale·Σ_j G·y[j]   assigned;  dy[j] = scale·Σ_i G·x[i]   assigned (this rank's part)
//   *dscale = Σ G·(x[i]·y[j])  assigned, in double
// Invalid rows and columns get gradient 0. A row (column) whose lse is −∞ has no counting pair. For
// the mean loss above both weights are 1/(2N).
struct ContrastiveBackwardArgs {
  ContrastiveStrip strip;
  const float* row_lse = nullptr;     // [rows]
  const float* column_lse = nullptr;  // [columns], over all ranks
  float row_weight = 0;
  float column_weight = 0;
  float* dx = nullptr;  // [rows, dim]
  float* dy = nullptr;  // [columns, dim]
  double* dscale = nullptr;
};

// Memory beside the arguments: one tile of 4 MiB and O(columns) for hashes. The order of every sum
// is fixed by the shapes alone. Tolerance of _cpu against _ref: 2e-5 relative (scale up to 100).
void ContrastiveStats(const ContrastiveStatsArgs& args, ThreadPool& pool);
void ContrastiveBackward(const ContrastiveBackwardArgs& args, ThreadPool& pool);

// sum[i] *= exp(old_max[i] − new_max[i]); new_max >= old_max; a sum whose old_max is −∞ becomes 0.
void RescaleSoftmaxSums(int64_t count, const float* old_max, const float* new_max, float* sum);

// lse[i] = max[i] + log(sum[i]); −∞ where sum is 0. lse may alias max or sum.
void SoftmaxLogSum(int64_t count, const float* max, const float* sum, float* lse);

namespace ref {
void ContrastiveStats(const ContrastiveStatsArgs& args);
void ContrastiveBackward(const ContrastiveBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_CONTRASTIVE_H_
