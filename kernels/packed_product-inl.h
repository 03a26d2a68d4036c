// Products of packed matrices in registers, for one thread: what Gemm and attention are made of.
// Included once per target, after hwy/highway.h, as simd-inl.h is.
//
// An element of C has the same bits whatever m, n and the other rows and columns are: it is the sum
// over k in ascending order of fused multiply-adds.
#if defined(NAVIT_KERNELS_PACKED_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NAVIT_KERNELS_PACKED_PRODUCT_INL_H_
#undef NAVIT_KERNELS_PACKED_PRODUCT_INL_H_
#else
#define NAVIT_KERNELS_PACKED_PRODUCT_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

using D4 = hn::FixedTag<float, 4>;

// A tile of C is kTileRows × two vectors, held in registers: 24 of 32 with AVX-512, 12 of 16 else.
constexpr int64_t kTileRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;

// Columns of the panel of packed B that begins `left` columns before the end: two vectors, or one
// where that is enough.
HWY_INLINE int64_t PanelColumns(int64_t left) { return left <= Lanes() ? Lanes() : 2 * Lanes(); }

// Rows that lie far apart are asked for this many before they are read: no hardware looks across
// pages.
constexpr int64_t kRowsAhead = 8;

HWY_INLINE void PrefetchRow(const float* row, int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(float);
  for (int64_t j = 0; j < columns; j += kLine) hwy::Prefetch(row + j);
}

// to[i·to_row + j] = from[i·from_row + j] for i < rows, j < columns.
inline HWY_NOINLINE void CopyRows(const float* from, int64_t from_row, int64_t rows,
                                  int64_t columns, float* to, int64_t to_row) {
  for (int64_t i = 0; i < rows; ++i, from += from_row, to += to_row) {
    if (i + kRowsAhead < rows) PrefetchRow(from + kRowsAhead * from_row, columns);
    for (int64_t j = 0; j < columns; j += Lanes()) {
      StoreUpTo(LoadUpTo(from + j, columns - j), to + j, columns - j);
    }
  }
}

// to[j·to_row + i] = from[i·from_row + j] for i < rows, j < columns. Walks along the rows of `from`
// in steps of one vector, so that what is written stays in the first-level cache.
inline HWY_NOINLINE void Transpose(int64_t rows, int64_t columns, const float* from,
                                   int64_t from_row, float* to, int64_t to_row) {
  const D d;
  const D4 d4;
  const int64_t lanes = Lanes();
  HWY_ALIGN float turned[4 * HWY_MAX_BYTES / sizeof(float)];
  int64_t j = 0;
  for (; j + lanes <= columns; j += lanes) {
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      const float* source = from + i * from_row + j;
      // Turns each 4 × 4 block of four rows; block b of `turned` c is column j + 4·b + c.
      const V r0 = hn::LoadU(d, source);
      const V r1 = hn::LoadU(d, source + from_row);
      const V r2 = hn::LoadU(d, source + 2 * from_row);
      const V r3 = hn::LoadU(d, source + 3 * from_row);
      const V low02 = hn::InterleaveLower(d, r0, r2), low13 = hn::InterleaveLower(d, r1, r3);
      const V high02 = hn::InterleaveUpper(d, r0, r2), high13 = hn::InterleaveUpper(d, r1, r3);
      hn::Store(hn::InterleaveLower(d, low02, low13), d, turned);
      hn::Store(hn::InterleaveUpper(d, low02, low13), d, turned + lanes);
      hn::Store(hn::InterleaveLower(d, high02, high13), d, turned + 2 * lanes);
      hn::Store(hn::InterleaveUpper(d, high02, high13), d, turned + 3 * lanes);
      float* column = to + j * to_row + i;
      for (int64_t b = 0; b < lanes; b += 4) {
        for (int64_t c = 0; c < 4; ++c, column += to_row) {
          hn::StoreU(hn::Load(d4, turned + c * lanes + b), d4, column);
        }
      }
    }
    for (; i < rows; ++i) {
      for (int64_t c = j; c < j + lanes; ++c) to[c * to_row + i] = from[i * from_row + c];
    }
  }
  for (; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) to[j * to_row + i] = from[i * from_row + j];
  }
}

// Floats that PackB writes.
HWY_INLINE int64_t PackedFloats(int64_t k, int64_t n) {
  return k * ((n + Lanes() - 1) / Lanes() * Lanes());
}

// Packs B(p, j) = b[p·b_k + j·b_column], p < k, j < n, one of whose strides is 1, into panels
// [k][PanelColumns], one after the other, zeros behind column n.
inline HWY_NOINLINE void PackB(const float* b, int64_t b_k, int64_t b_column, int64_t k, int64_t n,
                               float* packed) {
  const D d;
  if (b_column == 1) {
    for (int64_t p = 0; p < k; ++p, b += b_k) {
      if (p + kRowsAhead < k) PrefetchRow(b + kRowsAhead * b_k, n);
      float* panels = packed;
      for (int64_t j = 0; j < n;) {
        const int64_t panel = PanelColumns(n - j);
        for (int64_t c = 0; c < panel; c += Lanes()) {
          hn::Store(LoadUpTo(b + j + c, n - j - c), d, panels + p * panel + c);
        }
        panels += k * panel;
        j += panel;
      }
    }
    return;
  }
  for (int64_t j = 0; j < n;) {
    const int64_t panel = PanelColumns(n - j), width = HWY_MIN(panel, n - j);
    if (width < panel) std::fill(packed, packed + k * panel, 0.0f);
    Transpose(width, k, b + j * b_column, b_column, packed, panel);
    packed += k * panel;
    j += panel;
  }
}

// Packs A(i, p) = a[p·a_k + i], i < rows, p < k, into panels [k][kTileRows], one after the
// other. Nothing is written behind row `rows`.
inline HWY_NOINLINE void PackA(const float* a, int64_t a_k, int64_t rows, int64_t k,
                               float* packed) {
  for (int64_t p = 0; p < k; ++p, a += a_k) {
    if (p + kRowsAhead < k) PrefetchRow(a + kRowsAhead * a_k, rows);
    float* to = packed + p * kTileRows;
    int64_t i = 0;
    for (; i + kTileRows <= rows; i += kTileRows, to += k * kTileRows) {
      std::memcpy(to, a + i, kTileRows * sizeof(float));
    }
    std::copy(a + i, a + rows, to);
  }
}

// How a product reads A: rows of it with a stride, or the panels of PackA.
enum class Rows { kStrided, kPacked };

// One tile of C and what it is made of.
struct TileArgs {
  int64_t k;
  const float* a;  // rows of A with stride a_row, or one panel
  int64_t a_row;
  const float* b;  // one panel
  float* c;
  int64_t c_row;
  int64_t columns;    // of C
  bool accumulate;    // C += instead of C =
  const float* bias;  // null: none
};

// Writes a vector of row r of C that begins at `column`; nothing behind the columns of the tile.
HWY_INLINE void StoreTile(const TileArgs& args, V sum, int64_t r, int64_t column) {
  const int64_t width = args.columns - column;
  if (width <= 0) return;
  float* to = args.c + r * args.c_row + column;
  if (args.accumulate) sum = hn::Add(LoadUpTo(to, width), sum);
  if (args.bias != nullptr) sum = hn::Add(sum, LoadUpTo(args.bias + column, width));
  StoreUpTo(sum, to, width);
}

// Rows R... of a tile of one or two vectors.
template <Rows kRowsOfA, int64_t kVectors, size_t... R>
HWY_INLINE void Tile(std::index_sequence<R...>, const TileArgs& args) {
  const D d;
  const int64_t lanes = Lanes(), c_row = args.c_row, columns = args.columns;
  constexpr size_t kRows = sizeof...(R);
  // C is far away: it is on its way while the sums are formed.
  (hwy::Prefetch(args.c + static_cast<int64_t>(R) * c_row), ...);
  (hwy::Prefetch(args.c + static_cast<int64_t>(R) * c_row + columns - 1), ...);
  // Rows are addressed as one of four bases plus 0, 1 or 2 strides, which x86 can encode.
  const float* a = args.a;
  const int64_t a_row = args.a_row;
  const float* base[4] = {a, a + 3 * a_row, a + 6 * a_row, a + 9 * a_row};
  V low[kRows] = {((void)R, hn::Zero(d))...};
  V high[kRows] = {((void)R, hn::Zero(d))...};
  const float* b = args.b;
  for (int64_t p = 0; p < args.k; ++p) {
    const V b0 = hn::Load(d, b);
    const V b1 = kVectors == 2 ? hn::Load(d, b + lanes) : hn::Zero(d);
    b += kVectors * lanes;
    const auto row = [&](size_t r, V& x, V& y) HWY_ATTR __attribute__((always_inline)) {
      const V value = hn::Set(d, kRowsOfA == Rows::kPacked
                                     ? a[r]
                                     : base[r / 3][p + static_cast<int64_t>(r % 3) * a_row]);
      x = hn::MulAdd(value, b0, x);
      if constexpr (kVectors == 2) y = hn::MulAdd(value, b1, y);
    };
    (row(R, low[R], high[R]), ...);
    if constexpr (kRowsOfA == Rows::kPacked) a += kTileRows;
  }
  (StoreTile(args, low[R], R, 0), ...);
  if constexpr (kVectors == 2) (StoreTile(args, high[R], R, lanes), ...);
}

// A tile of `rows` <= kTileRows rows; the order of every sum is that of a full tile.
template <Rows kRowsOfA, int64_t kVectors, int64_t kRows = kTileRows>
HWY_INLINE void TileOfRows(int64_t rows, const TileArgs& args) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      Tile<kRowsOfA, kVectors>(std::make_index_sequence<kRows>(), args);
    } else {
      TileOfRows<kRowsOfA, kVectors, kRows - 1>(rows, args);
    }
  }
}

// C(i, j) = Σ_p A(i, p)·B(p, j) (+ bias[j]), or C += that, for i < m and j < n.
struct PackedProductArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;  // rows of A with stride a_row, or the panels of PackA
  int64_t a_row = 0;
  const float* b = nullptr;  // of PackB
  int64_t b_rows = 0;        // that were packed, at least k
  int64_t b_columns = 0;     // likewise, at least n
  float* c = nullptr;
  int64_t c_row = 0;
  bool accumulate = false;
  const float* bias = nullptr;  // null: none
};

template <Rows kRowsOfA>
HWY_INLINE void PackedProduct(const PackedProductArgs& args) {
  const float* a = args.a;
  for (int64_t i = 0; i < args.m; i += kTileRows) {
    const int64_t rows = HWY_MIN(kTileRows, args.m - i);
    const float* b = args.b;
    for (int64_t j = 0; j < args.n;) {
      const int64_t panel = PanelColumns(args.b_columns - j);
      const TileArgs tile = {.k = args.k,
                             .a = a,
                             .a_row = args.a_row,
                             .b = b,
                             .c = args.c + i * args.c_row + j,
                             .c_row = args.c_row,
                             .columns = HWY_MIN(panel, args.n - j),
                             .accumulate = args.accumulate,
                             .bias = args.bias != nullptr ? args.bias + j : nullptr};
      if (panel == Lanes()) {
        TileOfRows<kRowsOfA, 1>(rows, tile);
      } else {
        TileOfRows<kRowsOfA, 2>(rows, tile);
      }
      b += args.b_rows * panel;
      j += panel;
    }
    a += kTileRows * (kRowsOfA == Rows::kPacked ? args.k : args.a_row);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#endif  // NAVIT_KERNELS_PACKED_PRODUCT_INL_H_
