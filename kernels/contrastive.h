// The softmax contrastive loss (InfoNCE, both directions) on one rank's strip of the N×N matrix of
// scores z[i, j] = scale·(x[i]·y[j]), which never exists as a whole: a strip is walked in tiles.
//
// With N valid pairs in the global batch the loss is
//   L = 1/(2N)·Σ_i [lse_j z[i, j] − Σ_j t[i, j]·z[i, j]]
//     + 1/(2N)·Σ_j [lse_i z[i, j] − Σ_i u[i, j]·z[i, j]].
// The targets t of a row share `positive_share` equally among its positives (one, or all with its
// caption), and label smoothing gives row_smooth[i] to every pair of the row that counts; u
// likewise for columns. Rows and columns with one caption have equally many positives, so both sums
// of positives are the same. One rank does:
//   1. ContrastiveStats over its n rows and all N columns: (max, sum) of exp per row and per
//   column,
//      and the positives' scores. Rows are complete; columns hold this rank's rows only.
//   2. All-reduce (max) of a copy of column_max, RescaleSoftmaxSums of column_sum to that maximum,
//      all-reduce (sum) of column_sum: columns are now complete on every rank.
//   3. SoftmaxLogSum turns (max, sum) into lse for rows and columns. The loss is Σ over rows of
//      w·(row_lse − positive) (summed over ranks) + Σ over columns of w·column_lse − w·positive,
//      positives times their share, and − w·smooth.
//   4. ContrastiveBackward recomputes the tiles: dx is complete, dy is this rank's part and goes to
//      the owners of the text rows by reduce-scatter, dscale is summed over ranks.
#ifndef NAVIT_KERNELS_CONTRASTIVE_H_
#define NAVIT_KERNELS_CONTRASTIVE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// What pairs of equal non-zero hashes are, other than a row with its own column: left out of all
// sums, or positives too.
enum class EqualCaptions { kIgnored, kPositive };

// The strip. Pairs (i, j) that count: row i valid, column j valid, and, where equal captions are
// ignored, not equal but for the row's own column. Invalid rows and columns add exactly nothing;
// they must hold finite numbers (zeros, say).
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
  // [rows] and [columns] caption hashes, 0: unknown. Both null: equal captions are negatives like
  // any other.
  const uint64_t* row_hash = nullptr;
  const uint64_t* column_hash = nullptr;
  EqualCaptions equal_captions = EqualCaptions::kIgnored;
  // 1 − label smoothing, and [rows] and [columns] the smoothing over the number of pairs of that
  // row (column) that count; both null: none.
  float positive_share = 1;
  const float* row_smooth = nullptr;
  const float* column_smooth = nullptr;
};

// Whether pair (i, j) counts, and whether it is a positive (then it counts).
inline bool IsPositive(const ContrastiveStrip& strip, int64_t i, int64_t j) {
  if (strip.positive[i] < 0) return false;
  if (strip.column_valid != nullptr && strip.column_valid[j] == 0) return false;
  if (j == strip.positive[i]) return true;
  return strip.row_hash != nullptr && strip.equal_captions == EqualCaptions::kPositive &&
         strip.row_hash[i] != 0 && strip.row_hash[i] == strip.column_hash[j];
}
inline bool PairCounts(const ContrastiveStrip& strip, int64_t i, int64_t j) {
  if (strip.positive[i] < 0) return false;
  if (strip.column_valid != nullptr && strip.column_valid[j] == 0) return false;
  if (j == strip.positive[i] || strip.row_hash == nullptr || strip.row_hash[i] == 0) return true;
  return strip.equal_captions == EqualCaptions::kPositive ||
         strip.row_hash[i] != strip.column_hash[j];
}

// All assigned. Of a row or column without a counting pair: max −∞, sum 0; positive score 0 when
// invalid. sum = Σ exp(z − max).
struct ContrastiveStatsArgs {
  ContrastiveStrip strip;
  float* row_max = nullptr;         // [rows]
  float* row_sum = nullptr;         // [rows]
  float* column_max = nullptr;      // [columns]
  float* column_sum = nullptr;      // [columns]
  float* positive_score = nullptr;  // [rows]: mean of z over the row's positives
  // [rows]: Σ_j (row_smooth[i] + column_smooth[j])·z[i, j]; null with the strip's smoothing.
  float* smooth_score = nullptr;
};

// With G[i, j] = row_weight·(exp(z − row_lse[i]) − t[i, j])
//              + column_weight·(exp(z − column_lse[j]) − u[i, j]) for pairs that count:
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
