#include <algorithm>
#include <cstddef>
#include <utility>

#include "kernels/gemm.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/cache_control.h"
#include "hwy/highway.h"

#ifndef NAVIT_KERNELS_GEMM_BLOCKS_
#define NAVIT_KERNELS_GEMM_BLOCKS_
namespace navit::kernels {

// A block of kKBlock × kColumnBlock of B is packed at a time and stays in the second-level cache;
// kRowBlock rows of a transposed A likewise. kColumnBlock is a multiple of every target's tile.
constexpr int64_t kKBlock = 384;
constexpr int64_t kColumnBlock = 192;
constexpr int64_t kRowBlock = 96;

}  // namespace navit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using D4 = hn::FixedTag<float, 4>;

// A tile of C is kTileRows × two vectors, held in registers: 24 of 32 with AVX-512, 12 of 16 else.
constexpr int64_t kTileRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;
HWY_INLINE int64_t TileColumns() { return 2 * hn::Lanes(D()); }

// to[j·to_row + i] = from[i·from_row + j] for i < rows, j < columns.
void Transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to,
               int64_t to_row) {
  const D d;
  const D4 d4;
  const int64_t lanes = hn::Lanes(d);
  HWY_ALIGN float turned[4 * HWY_MAX_BYTES / sizeof(float)];
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const float* source = from + i * from_row;
    int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      // Turns each 4 × 4 block of four rows; block b of `turned` c is column j + 4·b + c.
      const V r0 = hn::LoadU(d, source + j);
      const V r1 = hn::LoadU(d, source + from_row + j);
      const V r2 = hn::LoadU(d, source + 2 * from_row + j);
      const V r3 = hn::LoadU(d, source + 3 * from_row + j);
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
    for (; j < columns; ++j) {
      for (int64_t r = 0; r < 4; ++r) to[j * to_row + i + r] = source[r * from_row + j];
    }
  }
  for (; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) to[j * to_row + i] = from[i * from_row + j];
  }
}

// Packs B(0..k, 0..n) into panels [⌈n/tile⌉][k][tile], zeros behind column n.
void PackB(const GemmArgs& args, int64_t k_begin, int64_t k, int64_t n_begin, int64_t n,
           float* packed) {
  const D d;
  const int64_t tile = TileColumns(), lanes = hn::Lanes(d);
  const float* b = args.b + k_begin * args.b_k + n_begin * args.b_column;
  for (int64_t j = 0; j < n; j += tile, packed += k * tile) {
    const int64_t width = HWY_MIN(tile, n - j);
    if (width < tile) {
      for (int64_t at = 0; at < k * tile; ++at) packed[at] = 0;
    }
    if (args.b_column != 1) {
      Transpose(width, k, b + j * args.b_column, args.b_column, packed, tile);
    } else if (width == tile) {
      for (int64_t p = 0; p < k; ++p) {
        const float* row = b + p * args.b_k + j;
        hn::Store(hn::LoadU(d, row), d, packed + p * tile);
        hn::Store(hn::LoadU(d, row + lanes), d, packed + p * tile + lanes);
      }
    } else {
      for (int64_t p = 0; p < k; ++p) {
        for (int64_t c = 0; c < width; ++c) packed[p * tile + c] = b[p * args.b_k + j + c];
      }
    }
  }
}

// One tile of C: rows R... of A, one panel of packed B. `assign`: C is not read.
template <size_t... R>
HWY_INLINE void Tile(std::index_sequence<R...>, int64_t k, const float* a, int64_t a_row,
                     const float* b, float* c, int64_t c_row, int64_t columns, bool assign,
                     const float* bias) {
  const D d;
  const int64_t lanes = hn::Lanes(d);
  constexpr size_t kRows = sizeof...(R);
  // C is far away: it is on its way while the sums are formed.
  (hwy::Prefetch(c + static_cast<int64_t>(R) * c_row), ...);
  (hwy::Prefetch(c + static_cast<int64_t>(R) * c_row + columns - 1), ...);
  // Rows are addressed as one of four bases plus 0, 1 or 2 strides, which x86 can encode.
  const float* base[4] = {a, a + 3 * a_row, a + 6 * a_row, a + 9 * a_row};
  V low[kRows] = {((void)R, hn::Zero(d))...};
  V high[kRows] = {((void)R, hn::Zero(d))...};
  for (int64_t p = 0; p < k; ++p) {
    const V b0 = hn::Load(d, b);
    const V b1 = hn::Load(d, b + lanes);
    b += 2 * lanes;
    const auto row = [&](size_t r, V& x, V& y) HWY_ATTR {
      const V value = hn::Set(d, base[r / 3][p + static_cast<int64_t>(r % 3) * a_row]);
      x = hn::MulAdd(value, b0, x);
      y = hn::MulAdd(value, b1, y);
    };
    (row(R, low[R], high[R]), ...);
  }
  if (columns == 2 * lanes) {
    V bias0 = hn::Zero(d), bias1 = hn::Zero(d);
    if (bias != nullptr) {
      bias0 = hn::LoadU(d, bias);
      bias1 = hn::LoadU(d, bias + lanes);
    }
    const auto store = [&](size_t r, V x, V y) HWY_ATTR {
      float* to = c + static_cast<int64_t>(r) * c_row;
      if (!assign) {
        x = hn::Add(hn::LoadU(d, to), x);
        y = hn::Add(hn::LoadU(d, to + lanes), y);
      }
      if (bias != nullptr) {
        x = hn::Add(x, bias0);
        y = hn::Add(y, bias1);
      }
      hn::StoreU(x, d, to);
      hn::StoreU(y, d, to + lanes);
    };
    (store(R, low[R], high[R]), ...);
    return;
  }
  HWY_ALIGN float tile[kRows * 2 * HWY_MAX_BYTES / sizeof(float)];
  ((hn::Store(low[R], d, tile + R * 2 * lanes), hn::Store(high[R], d, tile + (R * 2 + 1) * lanes)),
   ...);
  for (size_t r = 0; r < kRows; ++r) {
    float* to = c + static_cast<int64_t>(r) * c_row;
    for (int64_t j = 0; j < columns; ++j) {
      float value = tile[static_cast<int64_t>(r) * 2 * lanes + j];
      if (!assign) value = to[j] + value;
      if (bias != nullptr) value += bias[j];
      to[j] = value;
    }
  }
}

// A tile of `rows` <= kTileRows rows; the order of every sum is that of a full tile.
template <int64_t kRows>
HWY_INLINE void TileOfRows(int64_t rows, int64_t k, const float* a, int64_t a_row, const float* b,
                           float* c, int64_t c_row, int64_t columns, bool assign,
                           const float* bias) {
  if constexpr (kRows > 0) {
    if (rows == kRows) {
      Tile(std::make_index_sequence<kRows>(), k, a, a_row, b, c, c_row, columns, assign, bias);
    } else {
      TileOfRows<kRows - 1>(rows, k, a, a_row, b, c, c_row, columns, assign, bias);
    }
  }
}

// Rows [m_begin, m_end) and columns [n_begin, n_begin + n) of C; n <= kColumnBlock.
void GemmBlock(const GemmArgs& args, int64_t m_begin, int64_t m_end, int64_t n_begin, int64_t n,
               float* packed_a, float* packed_b) {
  const int64_t tile_columns = TileColumns();
  int64_t k_begin = 0;
  do {
    const int64_t k = HWY_MIN(kKBlock, args.k - k_begin);
    const bool last = k_begin + k == args.k;
    const bool assign = k_begin == 0 && !args.accumulate;
    PackB(args, k_begin, k, n_begin, n, packed_b);
    for (int64_t block = m_begin; block < m_end; block += kRowBlock) {
      const int64_t block_end = HWY_MIN(m_end, block + kRowBlock);
      const float* a = args.a + block * args.a_row + k_begin * args.a_k;
      int64_t a_row = args.a_row;
      if (args.a_k != 1) {
        Transpose(k, block_end - block, a, args.a_k, packed_a, kKBlock);
        a = packed_a;
        a_row = kKBlock;
      }
      for (int64_t i = block; i < block_end; i += kTileRows, a += kTileRows * a_row) {
        const int64_t rows = HWY_MIN(kTileRows, block_end - i);
        const float* b = packed_b;
        for (int64_t j = 0; j < n; j += tile_columns, b += k * tile_columns) {
          TileOfRows<kTileRows>(rows, k, a, a_row, b, args.c + i * args.c_row + n_begin + j,
                                args.c_row, HWY_MIN(tile_columns, n - j), assign,
                                last && args.bias != nullptr ? args.bias + n_begin + j : nullptr);
        }
      }
    }
    k_begin += k;
  } while (k_begin < args.k);
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(GemmBlock);

void Block(const GemmArgs& args, int64_t m_begin, int64_t m_end, int64_t n_begin, int64_t n) {
  float* packed_a = args.a_k == 1 ? nullptr : Scratch(ScratchUse::kGemmA, kRowBlock * kKBlock);
  float* packed_b = Scratch(ScratchUse::kGemmB, kColumnBlock * kKBlock);
  HWY_DYNAMIC_DISPATCH(GemmBlock)(args, m_begin, m_end, n_begin, n, packed_a, packed_b);
}

}  // namespace

void Gemm(const GemmArgs& args) {
  if (args.m == 0) return;
  for (int64_t j = 0; j < args.n; j += kColumnBlock) {
    Block(args, 0, args.m, j, std::min(kColumnBlock, args.n - j));
  }
}

void Gemm(const GemmArgs& args, ThreadPool& pool) {
  if (args.m == 0 || args.n == 0) return;
  const int64_t column_blocks = (args.n + kColumnBlock - 1) / kColumnBlock;
  // Packing a block of B costs as much as some rows: rows are cut only for want of tasks.
  const int64_t wanted = pool.num_threads() == 1 ? 1 : 4 * pool.num_threads();
  const int64_t row_parts =
      std::max<int64_t>(1, std::min(wanted / column_blocks, args.m / kRowBlock));
  const int64_t part_rows =
      ((args.m + row_parts - 1) / row_parts + kRowBlock - 1) / kRowBlock * kRowBlock;
  pool.ParallelTasks(column_blocks * row_parts, [&](int64_t task) {
    const int64_t n_begin = task / row_parts * kColumnBlock;
    const int64_t m_begin = task % row_parts * part_rows;
    const int64_t m_end = std::min(args.m, m_begin + part_rows);
    if (m_begin >= m_end) return;
    Block(args, m_begin, m_end, n_begin, std::min(kColumnBlock, args.n - n_begin));
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
