#include "kernels/cuda/device.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/padded_rows.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

template <typename BaseArgs>
struct WithPadding : BaseArgs {
  int64_t padded;  // PaddedLength(dim)
};

// Unit i of the padded array: eight of its values.
struct Unit {
  int64_t row, first;
  NAVIT_DEVICE Unit(int64_t i, int64_t padded) {
    const int64_t units = padded / kPaddedMultiple;
    row = i / units;
    first = (i - row * units) * kPaddedMultiple;
  }
};

template <typename Body, typename BaseArgs>
LaunchError ForEachUnit(int64_t rows, const BaseArgs& args, Stream stream) {
  const int64_t padded = PaddedLength(args.dim);
  return ForEachElement<Body>(rows * padded / kPaddedMultiple, {args, padded}, stream);
}

struct PadBody {
  using Args = WithPadding<PadRowsArgs>;
  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const Unit unit(i, args.padded);
    Vector16 values = {};
    if (unit.row < args.rows) {
      values =
          LoadPacked(Global<const Bf16>(args.from) + unit.row * args.dim, unit.first, args.dim);
    }
    Global<Bf16>(args.to).StoreAs<Vector16>(i * kPaddedMultiple, values);
  }
};

struct RoundBody {
  using Args = WithPadding<RoundPaddedRowsArgs>;
  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const Unit unit(i, args.padded);
    const Global<Bf16> to = Global<Bf16>(args.to) + unit.row * args.dim;
    float values[8], added[8];
    LoadEight(values, Global<const float>(args.from) + unit.row * args.padded, unit.first,
              args.padded);
    if (args.bias != nullptr) {
      LoadEight(added, Global<const Bf16>(args.bias), unit.first, args.dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) values[j] += added[j];
    }
    if (args.accumulate) {
      LoadEight(added, Global<const Bf16>(args.to) + unit.row * args.dim, unit.first, args.dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) values[j] += added[j];
    }
    StoreEight(values, to, unit.first, args.dim);
  }
};

struct AddBody {
  using Args = WithPadding<AddPaddedRowsArgs>;
  NAVIT_DEVICE static void At(const Args& args, int64_t i) {
    const int64_t row = i / args.dim;
    const int64_t from = row * args.padded + (i - row * args.dim);
    const Global<float> to(args.to);
    to.Store(i, to.Load(i) + Global<const float>(args.from).Load(from));
  }
};

}  // namespace

LaunchError PadRows(const PadRowsArgs& args, Stream stream) {
  return ForEachUnit<PadBody>(args.padded_rows, args, stream);
}

LaunchError RoundPaddedRows(const RoundPaddedRowsArgs& args, Stream stream) {
  return ForEachUnit<RoundBody>(args.rows, args, stream);
}

LaunchError AddPaddedRows(const AddPaddedRowsArgs& args, Stream stream) {
  return ForEachElement<AddBody>(args.rows * args.dim, {args, PaddedLength(args.dim)}, stream);
}

}  // namespace navit::kernels::cuda
