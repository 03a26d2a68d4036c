#include "kernels/cuda/device.h"
#include "kernels/cuda/position_table.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

// Σ weight·table[row, :] over the taps of a token.
class TapSum {
 public:
  NAVIT_DEVICE TapSum(const PositionTaps* taps, int64_t token, const float* table, int64_t dim)
      : table_(table), dim_(dim) {
    // Two loads of 16 bytes: the rows, then the weights.
    const Global<const float> from(reinterpret_cast<const float*>(taps));
    rows_ = from.LoadAs<Rows>(token * 8);
    weights_ = from.LoadAs<Weights>(token * 8 + 4);
  }

  // Added to sums of the eight columns from i on.
  NAVIT_DEVICE void AddTo(float (&sums)[8], int64_t i) const {
    NAVIT_UNROLL
    for (int tap = 0; tap < 4; ++tap) {
      if (weights_.weight[tap] == 0) continue;
      float values[8];
      LoadEight(values, table_ + rows_.row[tap] * dim_, i, dim_);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) sums[j] = Fma(weights_.weight[tap], values[j], sums[j]);
    }
  }

 private:
  struct alignas(16) Rows {
    int32_t row[4];
  };
  struct alignas(16) Weights {
    float weight[4];
  };
  const Global<const float> table_;
  const int64_t dim_;
  Rows rows_;
  Weights weights_;
};

struct AddTaps {
  using Args = PositionTableForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const TapSum sum(args.taps, token, args.table, args.dim);
    const int64_t begin = token * args.stride + args.offset;
    for (int64_t first = 0; first < args.dim; first += RowGroup::kColumns) {
      // All loads of x come before the first store, which the next load would have to wait for.
      RowGroup x;
      x.Load(Global<const Bf16>(args.x) + begin, first, args.dim);
      NAVIT_UNROLL
      for (int k = 0; k < RowGroup::kPieces; ++k) {
        const int64_t i = RowGroup::Column(first, k);
        if (i >= args.dim) break;
        float values[8];
        Unpack(x.piece[k], values);
        sum.AddTo(values, i);
        StoreEight(values, Global<Bf16>(args.x) + begin, i, args.dim);
      }
    }
  }
};

struct AddProduct {
  using Args = PositionProductForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const TapSum a(args.row_taps, token, args.row_table, args.dim);
    const TapSum b(args.column_taps, token, args.column_table, args.dim);
    const int64_t dim = args.dim;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float x[8], of_row[8] = {}, of_column[8] = {};
      LoadEight(x, Global<const Bf16>(args.x) + token * dim, i, dim);
      a.AddTo(of_row, i);
      b.AddTo(of_column, i);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) x[j] = Fma(of_row[j], of_column[j], x[j]);
      StoreEight(x, Global<Bf16>(args.x) + token * dim, i, dim);
    }
  }
};

struct ProductGradient {
  using Args = PositionProductBackwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const int64_t dim = args.dim;
    const TapSum b(args.taps, token, args.table, dim);
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float dx[8], of_table[8] = {};
      LoadEight(dx, Global<const Bf16>(args.dx) + token * dim, i, dim);
      b.AddTo(of_table, i);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) dx[j] *= of_table[j];
      StoreEight(dx, Global<Bf16>(args.da) + token * dim, i, dim);
    }
  }
};

}  // namespace

LaunchError PositionTableForward(const PositionTableForwardArgs& args, Stream stream) {
  return ForEachRow<AddTaps>(args.tokens, args, stream);
}

LaunchError PositionProductForward(const PositionProductForwardArgs& args, Stream stream) {
  return ForEachRow<AddProduct>(args.tokens, args, stream);
}

LaunchError PositionProductBackward(const PositionProductBackwardArgs& args, Stream stream) {
  return ForEachRow<ProductGradient>(args.tokens, args, stream);
}

}  // namespace navit::kernels::cuda
