#include "kernels/cuda/device.h"
#include "kernels/cuda/segment_pool.h"

namespace navit::kernels::cuda {
namespace {

constexpr int kColumns = 128;  // of a block, one to a thread

// The segment and column of this thread.
struct Place {
  int64_t segment, column, begin, end;
  NAVIT_DEVICE Place(const int32_t* cu_seqlens, int64_t dim) {
    const int64_t column_blocks = (dim + kColumns - 1) / kColumns;
    segment = BlockIndex() / column_blocks;
    column = BlockIndex() % column_blocks * kColumns + ThreadIndex();
    begin = Global<const int32_t>(cu_seqlens).Load(segment);
    end = Global<const int32_t>(cu_seqlens).Load(segment + 1);
  }
};

LaunchShape Shape(int64_t segments, int64_t dim) {
  return {segments * ((dim + kColumns - 1) / kColumns), kColumns, 0};
}

// The first token of [begin, end) whose value in the column is the largest.
NAVIT_DEVICE int64_t FirstLargest(Global<const Bf16> x, int64_t dim, const Place& at) {
  int64_t best = at.begin;
  float largest = ToFloat(x.Load(best * dim + at.column));
  for (int64_t t = at.begin + 1; t < at.end; ++t) {
    const float value = ToFloat(x.Load(t * dim + at.column));
    if (value > largest) {
      largest = value;
      best = t;
    }
  }
  return best;
}

// The token of a segment that is not empty whose value stands for it; not for the mean.
NAVIT_DEVICE int64_t Chosen(SegmentPoolKind kind, Global<const Bf16> x, int64_t dim,
                            const Place& at) {
  if (kind == SegmentPoolKind::kMax) return FirstLargest(x, dim, at);
  return kind == SegmentPoolKind::kFirst ? at.begin : at.end - 1;
}

struct ForwardKernel {
  using Args = SegmentPoolForwardArgs;
  static constexpr int kThreads = kColumns;

  NAVIT_DEVICE static void Run(const Args& args) {
    const Place at(args.cu_seqlens, args.dim);
    if (at.column >= args.dim) return;
    const Global<const Bf16> x(args.x);
    float result = 0;
    const bool mean = args.kind == SegmentPoolKind::kMean;
    if (at.begin < at.end && !mean) {
      result = ToFloat(x.Load(Chosen(args.kind, x, args.dim, at) * args.dim + at.column));
    } else if (at.begin < at.end) {
      for (int64_t t = at.begin; t < at.end; ++t)
        result += ToFloat(x.Load(t * args.dim + at.column));
      result /= static_cast<float>(at.end - at.begin);
    }
    Global<Bf16>(args.pooled).Store(at.segment * args.dim + at.column, ToBf16(result));
  }
};

struct BackwardKernel {
  using Args = SegmentPoolBackwardArgs;
  static constexpr int kThreads = kColumns;

  NAVIT_DEVICE static void Run(const Args& args) {
    const Place at(args.cu_seqlens, args.dim);
    if (at.column >= args.dim || at.begin == at.end) return;
    const float gradient =
        ToFloat(Global<const Bf16>(args.dpooled).Load(at.segment * args.dim + at.column));
    const bool mean = args.kind == SegmentPoolKind::kMean;
    const int64_t chosen = mean ? -1 : Chosen(args.kind, Global<const Bf16>(args.x), args.dim, at);
    const float share = mean ? gradient / static_cast<float>(at.end - at.begin) : 0;
    for (int64_t t = at.begin; t < at.end; ++t) {
      Global<Bf16>(args.dx).Store(t * args.dim + at.column, ToBf16(t == chosen ? gradient : share));
    }
  }
};

}  // namespace

LaunchError SegmentPoolForward(const SegmentPoolForwardArgs& args, Stream stream) {
  return Launch<ForwardKernel>(Shape(args.segments, args.dim), stream, args);
}

LaunchError SegmentPoolBackward(const SegmentPoolBackwardArgs& args, Stream stream) {
  const LaunchError error = FillZeroRows(args.dx, args.used_tokens, args.tokens, args.dim, stream);
  if (!error.ok()) return error;
  return Launch<BackwardKernel>(Shape(args.segments, args.dim), stream, args);
}

}  // namespace navit::kernels::cuda
