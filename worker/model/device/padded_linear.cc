#include "worker/model/device/padded_linear.h"

#include "kernels/cuda/padded_rows.h"
#include "worker/model/arena.h"

namespace navit {

namespace cuda = kernels::cuda;
using cuda::Bf16;
using cuda::PaddedLength;

namespace {

// A matrix [rows, dim] and its copy [padded_rows, PaddedLength(dim)] in working memory, if it needs
// one.
struct Operand {
  const Bf16* matrix;
  int64_t rows, dim, padded_rows;
  Bf16* copy = nullptr;

  bool whole() const { return rows == padded_rows && dim == PaddedLength(dim); }
  void LayOut(Arena* arena) {
    if (!whole()) copy = arena->Take<Bf16>(padded_rows * PaddedLength(dim));
  }
  const Bf16* Fill(DeviceContext& context) const {
    if (whole()) return matrix;
    context.Run("padding of a linear layer", cuda::PadRows,
                {.rows = rows, .dim = dim, .padded_rows = padded_rows, .from = matrix, .to = copy});
    return copy;
  }
};

// The product of `a` and `b`, which it pads, [rows, columns] in working memory; `args` has the
// rest. Null after an error.
float* Multiply(Operand a, Operand b, cuda::ProductArgs args, DeviceContext& context) {
  const auto lay_out = [&](Arena* arena) {
    a.LayOut(arena);
    b.LayOut(arena);
    args.to = arena->Take(args.rows * args.columns);
  };
  Arena count;
  lay_out(&count);
  Arena arena(context.Scratch<float>(static_cast<int64_t>(count.used())));
  lay_out(&arena);
  if (!context.ok()) return nullptr;
  args.a = a.Fill(context);
  args.a_stride = PaddedLength(a.dim);
  args.b = b.Fill(context);
  args.b_stride = PaddedLength(b.dim);
  args.to_stride = args.columns;
  if (context.ok()) {
    context.Keep("padded linear layer", context.engine()->Multiply(args, context.stream()));
  }
  return args.to;
}

}  // namespace

bool HasWholeUnits(int64_t in, int64_t out) {
  return in == PaddedLength(in) && out == PaddedLength(out);
}

void PaddedLinearForward(const DeviceOps::LinearForwardArgs& args, DeviceContext& context) {
  if (args.rows == 0) return;
  const int64_t out = PaddedLength(args.out);
  const float* const product = Multiply(
      {args.x, args.rows, args.in, args.rows},
      {context.Weight(args.weight), args.out, args.in, out},
      {.rows = args.rows, .columns = out, .depth = PaddedLength(args.in), .b_transposed = true},
      context);
  context.Run("result of a padded linear layer", cuda::RoundPaddedRows,
              {.rows = args.rows,
               .dim = args.out,
               .from = product,
               .bias = context.Weight(args.bias),
               .to = args.y,
               .accumulate = args.accumulate});
}

void PaddedLinearBackwardInput(const DeviceOps::LinearBackwardInputArgs& args,
                               DeviceContext& context) {
  if (args.rows == 0) return;
  const int64_t out = PaddedLength(args.out);
  const float* const product =
      Multiply({args.dy, args.rows, args.out, args.rows},
               {context.Weight(args.weight), args.out, args.in, out},
               {.rows = args.rows, .columns = PaddedLength(args.in), .depth = out}, context);
  context.Run("gradient of a padded linear layer's input", cuda::RoundPaddedRows,
              {.rows = args.rows,
               .dim = args.in,
               .from = product,
               .to = args.dx,
               .accumulate = args.accumulate});
}

void PaddedLinearBackwardWeight(const DeviceOps::LinearBackwardWeightArgs& args,
                                DeviceContext& context) {
  if (args.rows == 0) return;
  const float* const product =
      Multiply({args.dy, args.rows, args.out, args.rows}, {args.x, args.rows, args.in, args.rows},
               {.rows = PaddedLength(args.out),
                .columns = PaddedLength(args.in),
                .depth = args.rows,
                .a_transposed = true},
               context);
  context.Run("gradient of a padded linear layer's weight", cuda::AddPaddedRows,
              {.rows = args.out, .dim = args.in, .from = product, .to = args.dweight});
}

}  // namespace navit
