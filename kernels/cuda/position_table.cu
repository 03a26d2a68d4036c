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

  // Added to `sum`.
  NAVIT_DEVICE float At(int64_t i, float sum) const {
    NAVIT_UNROLL
    for (int tap = 0; tap < 4; ++tap) {
      if (weights_.weight[tap] == 0) continue;
      sum = Fma(weights_.weight[tap], table_.Load(rows_.row[tap] * dim_ + i), sum);
    }
    return sum;
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
    const Global<Bf16> x = Global<Bf16>(args.x) + (token * args.stride + args.offset);
    for (int64_t i = LaneIndex(); i < args.dim; i += kWarp) {
      x.Store(i, ToBf16(sum.At(i, ToFloat(x.Load(i)))));
    }
  }
};

struct AddProduct {
  using Args = PositionProductForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const TapSum a(args.row_taps, token, args.row_table, args.dim);
    const TapSum b(args.column_taps, token, args.column_table, args.dim);
    const Global<Bf16> x = Global<Bf16>(args.x) + token * args.dim;
    for (int64_t i = LaneIndex(); i < args.dim; i += kWarp) {
      x.Store(i, ToBf16(Fma(a.At(i, 0), b.At(i, 0), ToFloat(x.Load(i)))));
    }
  }
};

struct ProductGradient {
  using Args = PositionProductBackwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const int64_t first = token * args.dim;
    const TapSum b(args.taps, token, args.table, args.dim);
    for (int64_t i = LaneIndex(); i < args.dim; i += kWarp) {
      const float dx = ToFloat(Global<const Bf16>(args.dx).Load(first + i));
      Global<Bf16>(args.da).Store(first + i, ToBf16(dx * b.At(i, 0)));
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
