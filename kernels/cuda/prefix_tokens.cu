#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/prefix_tokens.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

// The last segment s of [0, segments) with cu_seqlens[s] + s·prefix_tokens <= row.
NAVIT_DEVICE int64_t SegmentOf(Global<const int32_t> cu_seqlens, int64_t segments,
                               int64_t prefix_tokens, int64_t row) {
  int64_t low = 0, high = segments;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (cu_seqlens.Load(middle) + middle * prefix_tokens <= row) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

template <typename From>
NAVIT_DEVICE void CopyRow(Global<const From> from, Global<Bf16> to, int64_t dim) {
  for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
    float values[8];
    LoadEight(values, from, i, dim);
    StoreEight(values, to, i, dim);
  }
}

struct InsertRow {
  using Args = InsertPrefixArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t row) {
    const int64_t dim = args.dim;
    const Global<const int32_t> cu_seqlens(args.cu_seqlens);
    const int64_t segment = SegmentOf(cu_seqlens, args.segments, args.prefix_tokens, row);
    const int64_t place = row - cu_seqlens.Load(segment) - segment * args.prefix_tokens;
    const Global<Bf16> to = Global<Bf16>(args.y) + row * dim;
    if (place >= args.prefix_tokens) {
      const int64_t token = row - (segment + 1) * args.prefix_tokens;
      CopyRow(Global<const Bf16>(args.x) + token * dim, to, dim);
    } else if (args.prefix != nullptr) {
      CopyRow(Global<const float>(args.prefix) + place * dim, to, dim);
    } else {
      const float zeros[8] = {};
      for (int64_t i = RowBegin(); i < dim; i += kRowStep) StoreEight(zeros, to, i, dim);
    }
  }
};

struct RemoveRow {
  using Args = RemovePrefixArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const int64_t dim = args.dim;
    const int64_t segment =
        SegmentOf(Global<const int32_t>(args.cu_seqlens), args.segments, 0, token);
    CopyRow(Global<const Bf16>(args.y) + (token + (segment + 1) * args.prefix_tokens) * dim,
            Global<Bf16>(args.x) + token * dim, dim);
  }
};

// A thread sums one value of the prefix over one slab of segments.
struct PrefixSumKernel {
  struct Args {
    RemovePrefixArgs remove;
    int64_t values, value_blocks;  // of all prefix tokens
  };
  static constexpr int kThreads = 128;

  NAVIT_DEVICE static void Run(const Args& args) {
    const RemovePrefixArgs& remove = args.remove;
    const int64_t slab = BlockIndex() / args.value_blocks;
    const int64_t value = BlockIndex() % args.value_blocks * kThreads + ThreadIndex();
    if (value >= args.values) return;
    const int64_t begin = slab * kPrefixSlab;
    const int64_t limit = begin + kPrefixSlab;
    const int64_t end = limit < remove.segments ? limit : remove.segments;
    float sum = 0;
    for (int64_t s = begin; s < end; ++s) {
      const int64_t row =
          Global<const int32_t>(remove.cu_seqlens).Load(s) + s * remove.prefix_tokens;
      sum += ToFloat(Global<const Bf16>(remove.y).Load(row * remove.dim + value));
    }
    Global<float>(remove.partial).Store(slab * args.values + value, sum);
  }
};

}  // namespace

LaunchError InsertPrefix(const InsertPrefixArgs& args, Stream stream) {
  const int64_t used = args.used_tokens + args.segments * args.prefix_tokens;
  const LaunchError error = FillZeroRows(args.y, used, args.y_tokens, args.dim, stream);
  if (!error.ok()) return error;
  return ForEachRow<InsertRow>(used, args, stream);
}

LaunchError RemovePrefix(const RemovePrefixArgs& args, Stream stream) {
  LaunchError error = FillZeroRows(args.x, args.used_tokens, args.x_tokens, args.dim, stream);
  if (!error.ok()) return error;
  error = ForEachRow<RemoveRow>(args.used_tokens, args, stream);
  if (!error.ok() || args.dprefix == nullptr) return error;
  const int64_t values = args.prefix_tokens * args.dim, slabs = PrefixSlabs(args.segments);
  const int64_t blocks = (values + PrefixSumKernel::kThreads - 1) / PrefixSumKernel::kThreads;
  error = Launch<PrefixSumKernel>({slabs * blocks, PrefixSumKernel::kThreads, 0}, stream,
                                  {args, values, blocks});
  if (!error.ok()) return error;
  return AddRows(slabs, values, args.partial, args.dprefix, stream);
}

}  // namespace navit::kernels::cuda
