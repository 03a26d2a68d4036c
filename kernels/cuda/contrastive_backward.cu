#include <cmath>

#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/contrastive_gradient.h"
#include "kernels/cuda/contrastive_pairs.h"
#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {
namespace {

constexpr float kLog2E = 1.44269504088896f;

// G of the softmax loss (kernels/contrastive.h).
class SoftmaxRule {
 public:
  struct Args {
    const float* positive_part;
    const float* row_lse;
    const float* column_lse;
    float row_weight, column_weight;
    float log_row_weight, log_column_weight;  // to the base of 2
  };
  static constexpr int kSharedBytes = 5 * TileValues::kSharedBytes;

  NAVIT_DEVICE SoftmaxRule(const ScoreTile& tile, const ContrastiveStrip& strip, const Args& args,
                           int offset)
      : scale_(strip.scale * kLog2E),
        row_shift_(tile.RowValues(offset, args.row_lse, -kLog2E, args.log_row_weight)),
        row_pull_(
            tile.RowValues(offset + TileValues::kSharedBytes, strip.row_smooth, args.row_weight)),
        positive_pull_(
            tile.RowValues(offset + 2 * TileValues::kSharedBytes, args.positive_part,
                           (args.row_weight + args.column_weight) * strip.positive_share)),
        column_shift_(tile.ColumnValues(offset + 3 * TileValues::kSharedBytes, args.column_lse,
                                        -kLog2E, args.log_column_weight)),
        column_pull_(tile.ColumnValues(offset + 4 * TileValues::kSharedBytes, strip.column_smooth,
                                       args.column_weight)) {}

  NAVIT_DEVICE void Column(int s) {
    shift_of_column_ = column_shift_.OfColumn(s);
    pull_of_column_ = column_pull_.OfColumn(s);
  }

  NAVIT_DEVICE void Row(int r) {
    shift_of_row_ = row_shift_.OfRow(r);
    pull_of_row_ = row_pull_.OfRow(r);
  }

  NAVIT_DEVICE float Gradient(float cosine, PairKind kind, int r, int, float (&sums)[kPairSums]) {
    const float pull =
        pull_of_row_ + pull_of_column_ + (kind.positive ? positive_pull_.OfRow(r) : 0);
    const float g = Exp2(Fma(cosine, scale_, shift_of_row_)) +
                    Exp2(Fma(cosine, scale_, shift_of_column_)) - pull;
    sums[0] += g * cosine;
    return g;
  }

 private:
  const float scale_;  // of the cosine, to a power of two
  // weight·exp(z − lse) is 2 to the power of scale·cosine + shift.
  const TileValues row_shift_, row_pull_, positive_pull_, column_shift_, column_pull_;
  float shift_of_row_ = 0, pull_of_row_ = 0;
  float shift_of_column_ = 0, pull_of_column_ = 0;
};

}  // namespace

LaunchError ContrastiveBackward(const ContrastiveBackwardArgs& args, Stream stream) {
  return ContrastiveGradients<SoftmaxRule>(
      args.strip, *args.engine,
      {args.positive_part, args.row_lse, args.column_lse, args.row_weight, args.column_weight,
       std::log2(args.row_weight), std::log2(args.column_weight)},
      args.dx, args.dy, 1, {args.dscale, nullptr, nullptr}, args.workspace, stream);
}

}  // namespace navit::kernels::cuda
