// What the attention kernels share: segments copied to shared memory, and fragments of 16 rows in
// the registers of a warp. For .cu files.
//
// A fragment lies over the lanes as the A operand of Mma16x8x16 wants it, an accumulator as its C
// operand; an accumulator of two neighbouring 16×8 tiles, rounded to bf16, is again a fragment.
#ifndef NAVIT_KERNELS_CUDA_ATTENTION_TILES_H_
#define NAVIT_KERNELS_CUDA_ATTENTION_TILES_H_

#include <cstdint>

#include "kernels/cuda/attention_work.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/head_dims.h"
#include "kernels/cuda/shared_rows.h"

namespace navit::kernels::cuda {

inline constexpr int kAttentionThreads = kAttentionWarps * kWarp;
inline constexpr float kLog2E = 1.44269504088896f;
inline constexpr float kLn2 = 0.69314718055995f;

// A head of several tokens.
template <int kDim>
using HeadRows = SharedRows<kPaddedHeadDim<kDim>>;

// Starts to copy rows [chunk, chunk + rows) of the block's segments to `to`. Row r of a segment
// comes from from[(begin + r)·stride]; rows behind its last token become zero, and so does what is
// behind the kDim values of a row.
template <int kDim>
NAVIT_DEVICE void CopySegments(const HeadRows<kDim>& to, Global<const Bf16> from, int64_t stride,
                               Global<const AttentionSegment> segments, int count, int chunk,
                               int rows) {
  constexpr int kPieces = HeadRows<kDim>::kPieces;
  for (int s = 0; s < count; ++s) {
    const AttentionSegment segment = segments.Load(s);
    // The part of the segment that lies in the chunk.
    const int padded = (segment.length + 15) / 16 * 16;
    const int first = chunk > segment.row ? chunk - segment.row : 0;
    const int limit = chunk + rows - segment.row;
    const int last = padded < limit ? padded : limit;
    for (int i = first * kPieces + ThreadIndex(); i < last * kPieces; i += kAttentionThreads) {
      const int row = i / kPieces, piece = i % kPieces;
      const bool valid = row < segment.length;
      const bool padding = kPieces > kDim / 8 && piece == kDim / 8;
      const int64_t token = segment.begin + (valid ? row : 0);
      CopyAsync16(to.Piece(segment.row + row - chunk, piece),
                  from + (token * stride + (padding ? 0 : piece * 8)), valid && !padding);
    }
  }
}

// 16 rows of kDim values as A operands. Rows from `valid` on are zero and are not read. Behind a
// row's last value, where B operands are zero, its first ones lie again: zeros there would take
// registers of their own.
template <int kDim>
struct Fragment {
  static constexpr int kSteps = kPaddedHeadDim<kDim> / 16;
  uint32_t a[kSteps][4];

  NAVIT_DEVICE void Load(Global<const Bf16> from, int64_t stride, int valid) {
    const int row = LaneIndex() / 4, column = LaneIndex() % 4 * 2;
    NAVIT_UNROLL
    for (int k = 0; k < kSteps; ++k) {
      NAVIT_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int r = row + i % 2 * 8, first = k * 16 + i / 2 * 8;
        a[k][i] =
            r < valid ? from.LoadAs<uint32_t>(r * stride + (first < kDim ? first : 0) + column) : 0;
      }
    }
  }
};

// 16 rows of kDim sums.
template <int kDim>
struct Accumulator {
  float c[kDim / 8][4];

  NAVIT_DEVICE void Clear() {
    NAVIT_UNROLL
    for (int n = 0; n < kDim / 8; ++n) {
      NAVIT_UNROLL
      for (int i = 0; i < 4; ++i) c[n][i] = 0;
    }
  }

  // += A·R, A [16, 16], R rows [row, row + 16).
  NAVIT_DEVICE void Add(const uint32_t (&a)[4], const HeadRows<kDim>& rows, int row) {
    NAVIT_UNROLL
    for (int n = 0; n < kPaddedHeadDim<kDim> / 16; ++n) {
      uint32_t b[4];
      rows.LoadAsRows(b, row, n);
      Mma16x8x16(c[2 * n], a, b[0], b[1]);
      if (2 * n + 1 < kDim / 8) Mma16x8x16(c[2 * n + 1], a, b[2], b[3]);
    }
  }

  // Row r goes to to[r·stride], times low (rows of c[.][0], c[.][1]) or high.
  NAVIT_DEVICE void Store(Global<Bf16> to, int64_t stride, int valid, float low, float high) const {
    const int row = LaneIndex() / 4, column = LaneIndex() % 4 * 2;
    NAVIT_UNROLL
    for (int n = 0; n < kDim / 8; ++n) {
      if (row < valid) {
        to.StoreAs<uint32_t>(row * stride + n * 8 + column, PackBf16(c[n][0] * low, c[n][1] * low));
      }
      if (row + 8 < valid) {
        to.StoreAs<uint32_t>((row + 8) * stride + n * 8 + column,
                             PackBf16(c[n][2] * high, c[n][3] * high));
      }
    }
  }
};

// A 16×16 accumulator as an A operand.
NAVIT_DEVICE void ToOperand(uint32_t (&a)[4], const float (&s)[2][4]) {
  a[0] = PackBf16(s[0][0], s[0][1]);
  a[1] = PackBf16(s[0][2], s[0][3]);
  a[2] = PackBf16(s[1][0], s[1][1]);
  a[3] = PackBf16(s[1][2], s[1][3]);
}

// The row and column inside a 16×16 accumulator of element s[n][i] of this lane.
NAVIT_DEVICE int ElementRow(int i) { return LaneIndex() / 4 + i / 2 * 8; }
NAVIT_DEVICE int ElementColumn(int n, int i) { return n * 8 + LaneIndex() % 4 * 2 + i % 2; }

// All rows of the block, those behind the last tokens of its segments included.
NAVIT_DEVICE int BlockRows(Global<const AttentionSegment> segments, int count) {
  const AttentionSegment last = segments.Load(count - 1);
  return last.row + (last.length + 15) / 16 * 16;
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_ATTENTION_TILES_H_
