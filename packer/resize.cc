#include "packer/resize.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

// Compiles the code below once for every SIMD target; ResizeImage chooses at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "packer/resize.cc"
#include <hwy/foreach_target.h>
// Keep this include behind foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace navit {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using resize_internal::Weights;

// Output rows that are made together. They become the lanes of the second pass, so that both passes
// multiply whole vectors by one weight.
constexpr size_t kBlock = 16;

// 8 x 8 int16: rows at `from`, `from_stride` apart, become columns at `to`.
HWY_INLINE void Transpose8x8(const int16_t* HWY_RESTRICT from, size_t from_stride,
                             int16_t* HWY_RESTRICT to, size_t to_stride) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t r = 0; r < 8; ++r) {
    for (size_t c = 0; c < 8; ++c) to[c * to_stride + r] = from[r * from_stride + c];
  }
#else
  const hn::FixedTag<int16_t, 8> d;
  // Each round turns the top bit of the row number into the lowest of the lane number.
  auto a0 = hn::LoadU(d, from), a1 = hn::LoadU(d, from + from_stride);
  auto a2 = hn::LoadU(d, from + 2 * from_stride), a3 = hn::LoadU(d, from + 3 * from_stride);
  auto a4 = hn::LoadU(d, from + 4 * from_stride), a5 = hn::LoadU(d, from + 5 * from_stride);
  auto a6 = hn::LoadU(d, from + 6 * from_stride), a7 = hn::LoadU(d, from + 7 * from_stride);
  for (int round = 0; round < 3; ++round) {
    const auto b0 = hn::InterleaveLower(d, a0, a4), b1 = hn::InterleaveUpper(d, a0, a4);
    const auto b2 = hn::InterleaveLower(d, a1, a5), b3 = hn::InterleaveUpper(d, a1, a5);
    const auto b4 = hn::InterleaveLower(d, a2, a6), b5 = hn::InterleaveUpper(d, a2, a6);
    const auto b6 = hn::InterleaveLower(d, a3, a7), b7 = hn::InterleaveUpper(d, a3, a7);
    a0 = b0, a1 = b1, a2 = b2, a3 = b3, a4 = b4, a5 = b5, a6 = b6, a7 = b7;
  }
  hn::StoreU(a0, d, to), hn::StoreU(a1, d, to + to_stride);
  hn::StoreU(a2, d, to + 2 * to_stride), hn::StoreU(a3, d, to + 3 * to_stride);
  hn::StoreU(a4, d, to + 4 * to_stride), hn::StoreU(a5, d, to + 5 * to_stride);
  hn::StoreU(a6, d, to + 6 * to_stride), hn::StoreU(a7, d, to + 7 * to_stride);
#endif
}

// One output row of the first pass: `stride` sums, in 2^-6, at `to`.
void CombineRows(const Image& image, uint32_t first, const int16_t* HWY_RESTRICT weights,
                 uint32_t taps, int16_t* HWY_RESTRICT to) {
  const hn::CappedTag<int16_t, kBlock> d;
  const hn::Rebind<uint8_t, decltype(d)> bytes;
  const size_t lanes = hn::Lanes(d);
  const size_t stride = image.stride;
  const uint8_t* HWY_RESTRICT from = image.Row(first);
  for (size_t c = 0; c < stride; c += 2 * lanes) {
    auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
    for (uint32_t t = 0; t < taps; ++t) {
      const auto weight = hn::Set(d, weights[t]);
      const uint8_t* row = from + stride * t + c;
      const auto p0 = hn::ShiftLeft<7>(hn::PromoteTo(d, hn::LoadU(bytes, row)));
      const auto p1 = hn::ShiftLeft<7>(hn::PromoteTo(d, hn::LoadU(bytes, row + lanes)));
      sum0 = hn::Add(sum0, hn::MulFixedPoint15(p0, weight));
      sum1 = hn::Add(sum1, hn::MulFixedPoint15(p1, weight));
    }
    hn::StoreU(sum0, d, to + c);
    hn::StoreU(sum1, d, to + c + lanes);
  }
}

// The second pass over kBlock rows, transposed: columns [3 * image width][kBlock] in 2^-6 to
// [3 * width][kBlock] in 2^-5.
void CombineColumns(const int16_t* HWY_RESTRICT columns, const Weights& horizontal,
                    int16_t* HWY_RESTRICT to) {
  const hn::CappedTag<int16_t, kBlock> d;
  const size_t lanes = hn::Lanes(d);
  const uint32_t taps = horizontal.taps;
  for (size_t x = 0; x < horizontal.first.size(); ++x) {
    const int16_t* weights = horizontal.weights.data() + x * taps;
    for (size_t part = 0; part < kBlock; part += lanes) {
      const int16_t* from = columns + size_t{3} * kBlock * horizontal.first[x] + part;
      auto red = hn::Zero(d), green = hn::Zero(d), blue = hn::Zero(d);
      for (uint32_t t = 0; t < taps; ++t, from += 3 * kBlock) {
        const auto weight = hn::Set(d, weights[t]);
        red = hn::Add(red, hn::MulFixedPoint15(hn::LoadU(d, from), weight));
        green = hn::Add(green, hn::MulFixedPoint15(hn::LoadU(d, from + kBlock), weight));
        blue = hn::Add(blue, hn::MulFixedPoint15(hn::LoadU(d, from + 2 * kBlock), weight));
      }
      int16_t* pixel = to + size_t{3} * kBlock * x + part;
      hn::StoreU(red, d, pixel);
      hn::StoreU(green, d, pixel + kBlock);
      hn::StoreU(blue, d, pixel + 2 * kBlock);
    }
  }
}

// [stride][kBlock] in 2^-5 to `rows` rows of bytes from row `y` of `result`.
void StoreRows(const int16_t* HWY_RESTRICT columns, uint32_t y, size_t rows, Image* result) {
  const hn::CappedTag<int16_t, 8> d;
  const hn::Rebind<uint8_t, decltype(d)> bytes;
  const size_t lanes = hn::Lanes(d);
  const auto half = hn::Set(d, 16);
  HWY_ALIGN int16_t tile[8 * 8];
  for (size_t c = 0; c < result->stride; c += 8) {
    for (size_t r = 0; r < rows; r += 8) {
      Transpose8x8(columns + c * kBlock + r, kBlock, tile, 8);
      for (size_t k = 0; k < std::min<size_t>(8, rows - r); ++k) {
        uint8_t* to = result->Row(y + static_cast<uint32_t>(r + k)) + c;
        for (size_t i = 0; i < 8; i += lanes) {
          const auto level = hn::ShiftRight<5>(hn::Add(hn::LoadU(d, tile + 8 * k + i), half));
          hn::StoreU(hn::DemoteTo(bytes, level), bytes, to + i);
        }
      }
    }
  }
}

void Resample(const Image& image, const Weights& vertical, const Weights& horizontal,
              ResizeScratch* scratch, Image* result) {
  const size_t stride = image.stride;
  // All of it is written before it is read, but for the rows that a short last block lacks and the
  // columns between the result's width and its stride: old numbers, never in a pixel.
  scratch->rows.resize(kBlock * stride);
  scratch->columns.resize(stride * kBlock);
  scratch->result.resize(result->stride * kBlock);
  for (uint32_t y = 0; y < result->height; y += kBlock) {
    const size_t rows = std::min<size_t>(kBlock, result->height - y);
    for (size_t r = 0; r < rows; ++r) {
      CombineRows(image, vertical.first[y + r], vertical.weights.data() + (y + r) * vertical.taps,
                  vertical.taps, scratch->rows.data() + r * stride);
    }
    for (size_t c = 0; c < stride; c += 8) {
      for (size_t r = 0; r < kBlock; r += 8) {
        Transpose8x8(scratch->rows.data() + r * stride + c, stride,
                     scratch->columns.data() + c * kBlock + r, kBlock);
      }
    }
    CombineColumns(scratch->columns.data(), horizontal, scratch->result.data());
    StoreRows(scratch->result.data(), y, rows, result);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit {

HWY_EXPORT(Resample);

void ResizeImage(const Image& source, uint32_t width, uint32_t height, ResizeScratch* scratch,
                 Image* result) {
  const uint32_t box_width = resize_internal::BoxSide(source.width, width);
  const uint32_t box_height = resize_internal::BoxSide(source.height, height);
  const Image* image = &source;
  if (box_width > 1 || box_height > 1) {
    resize_internal::ReduceByBoxes(source, box_width, box_height, &scratch->reduced);
    image = &scratch->reduced;
  }
  const auto vertical = resize_internal::MakeWeights(
      image->height, static_cast<double>(source.height) / box_height, height);
  const auto horizontal = resize_internal::MakeWeights(
      image->width, static_cast<double>(source.width) / box_width, width);
  result->Resize(width, height);
  HWY_DYNAMIC_DISPATCH(Resample)(*image, vertical, horizontal, scratch, result);
}

}  // namespace navit
#endif  // HWY_ONCE
