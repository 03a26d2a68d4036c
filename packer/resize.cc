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
constexpr size_t kBlock = 32;
// Columns of bytes that the first pass makes together: their samples stay in the first cache.
constexpr size_t kStrip = Image::kRowUnit;

using Tag = hn::CappedTag<int16_t, kBlock>;

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

// The first pass: output rows [y, y + rows) of the kStrip columns of bytes from `column`, in 2^-6
// and transposed, to columns [kStrip][kBlock]. `strip` is scratch for the samples of these columns
// that the rows need.
void CombineRows(const Image& image, const Weights& vertical, uint32_t y, size_t rows,
                 size_t column, std::vector<int16_t>* strip, int16_t* HWY_RESTRICT columns) {
  const Tag d;
  const hn::Rebind<uint8_t, Tag> bytes;
  const size_t lanes = hn::Lanes(d);
  const uint32_t taps = vertical.taps;
  const uint32_t first = vertical.first[y];
  const uint32_t count = vertical.first[y + rows - 1] + taps - first;
  if (strip->size() < count * kStrip) strip->resize(count * kStrip);
  int16_t* const samples = strip->data();
  for (uint32_t r = 0; r < count; ++r) {
    const uint8_t* from = image.Row(first + r) + column;
    for (size_t c = 0; c < kStrip; c += lanes) {
      hn::StoreU(hn::ShiftLeft<7>(hn::PromoteTo(d, hn::LoadU(bytes, from + c))), d,
                 samples + r * kStrip + c);
    }
  }
  HWY_ALIGN int16_t block[kBlock * kStrip];
  // Rows that a short last block lacks, up to the next transpose; they end in no pixel.
  std::memset(block + rows * kStrip, 0, (8 - rows % 8) % 8 * kStrip * sizeof(int16_t));
  for (size_t r = 0; r < rows; ++r) {
    const int16_t* weights = vertical.weights.data() + (y + r) * taps;
    for (size_t c = 0; c < kStrip; c += 2 * lanes) {
      const int16_t* from = samples + (vertical.first[y + r] - first) * kStrip + c;
      auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
      for (uint32_t t = 0; t < taps; ++t, from += kStrip) {
        const auto weight = hn::Set(d, weights[t]);
        sum0 = hn::Add(sum0, hn::MulFixedPoint15(hn::LoadU(d, from), weight));
        sum1 = hn::Add(sum1, hn::MulFixedPoint15(hn::LoadU(d, from + lanes), weight));
      }
      hn::StoreU(sum0, d, block + r * kStrip + c);
      hn::StoreU(sum1, d, block + r * kStrip + c + lanes);
    }
  }
  for (size_t c = 0; c < kStrip; c += 8) {
    for (size_t r = 0; r < rows; r += 8) {
      Transpose8x8(block + r * kStrip + c, kStrip, columns + c * kBlock + r, kBlock);
    }
  }
}

// The second pass, over kBlock rows: columns [width * channels][kBlock] in 2^-6 to
// [horizontal outputs * channels][kBlock] in 2^-5.
template <size_t kChannels>
void CombineColumns(const int16_t* HWY_RESTRICT columns, const Weights& horizontal,
                    int16_t* HWY_RESTRICT to) {
  const Tag d;
  const size_t lanes = hn::Lanes(d);
  const uint32_t taps = horizontal.taps;
  constexpr size_t kStep = kChannels * kBlock;
  for (size_t x = 0; x < horizontal.first.size(); ++x, to += kStep) {
    const int16_t* weights = horizontal.weights.data() + x * taps;
    for (size_t part = 0; part < kBlock; part += lanes) {
      const int16_t* from = columns + kStep * horizontal.first[x] + part;
      auto sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d);
      for (uint32_t t = 0; t < taps; ++t, from += kStep) {
        const auto weight = hn::Set(d, weights[t]);
        sum0 = hn::Add(sum0, hn::MulFixedPoint15(hn::LoadU(d, from), weight));
        if constexpr (kChannels == 3) {
          sum1 = hn::Add(sum1, hn::MulFixedPoint15(hn::LoadU(d, from + kBlock), weight));
          sum2 = hn::Add(sum2, hn::MulFixedPoint15(hn::LoadU(d, from + 2 * kBlock), weight));
        }
      }
      hn::StoreU(sum0, d, to + part);
      if constexpr (kChannels == 3) {
        hn::StoreU(sum1, d, to + kBlock + part);
        hn::StoreU(sum2, d, to + 2 * kBlock + part);
      }
    }
  }
}

// Both passes of one plane for output rows [y, y + rows).
void ResamplePlane(const Image& image, uint32_t y, size_t rows, std::vector<int16_t>* strip,
                   ResizeScratch::Plane* plane) {
  const size_t outputs = plane->horizontal->first.size() * image.channels;
  if (plane->columns.size() < image.stride * kBlock) plane->columns.resize(image.stride * kBlock);
  if (plane->result.size() < outputs * kBlock) plane->result.resize(outputs * kBlock);
  for (size_t column = 0; column < image.stride; column += kStrip) {
    CombineRows(image, *plane->vertical, y, rows, column, strip,
                plane->columns.data() + column * kBlock);
  }
  if (image.channels == 3) {
    CombineColumns<3>(plane->columns.data(), *plane->horizontal, plane->result.data());
  } else {
    CombineColumns<1>(plane->columns.data(), *plane->horizontal, plane->result.data());
  }
}

// Y, Cb, Cr at each plane's `result` become R, G, B in place; [count] values each.
void YccToRgb(std::array<ResizeScratch::Plane, 3>* planes, size_t count) {
  const Tag d;
  int16_t* const red = (*planes)[0].result.data();
  int16_t* const green = (*planes)[1].result.data();
  int16_t* const blue = (*planes)[2].result.data();
  const auto least_luma = hn::Set(d, resize_internal::kLeastLuma);
  const auto most_luma = hn::Set(d, resize_internal::kMostLuma);
  const auto centre = hn::Set(d, resize_internal::kChromaCentre);
  const auto least_chroma = hn::Set(d, -resize_internal::kMostChroma);
  const auto most_chroma = hn::Set(d, resize_internal::kMostChroma);
  const auto red_of_cr = hn::Set(d, resize_internal::kRedOfCr);
  const auto green_of_cb = hn::Set(d, resize_internal::kGreenOfCb);
  const auto green_of_cr = hn::Set(d, resize_internal::kGreenOfCr);
  const auto blue_of_cb = hn::Set(d, resize_internal::kBlueOfCb);
  for (size_t i = 0; i < count; i += hn::Lanes(d)) {
    const auto y = hn::Min(hn::Max(hn::LoadU(d, red + i), least_luma), most_luma);
    // A chroma sum may lie near the ends of int16, hence the saturation.
    const auto cb = hn::Min(
        hn::Max(hn::SaturatedSub(hn::LoadU(d, green + i), centre), least_chroma), most_chroma);
    const auto cr = hn::Min(hn::Max(hn::SaturatedSub(hn::LoadU(d, blue + i), centre), least_chroma),
                            most_chroma);
    hn::StoreU(hn::Add(hn::Add(y, cr), hn::MulFixedPoint15(cr, red_of_cr)), d, red + i);
    hn::StoreU(hn::Add(hn::Add(y, hn::MulFixedPoint15(cb, green_of_cb)),
                       hn::MulFixedPoint15(cr, green_of_cr)),
               d, green + i);
    hn::StoreU(hn::Add(hn::Add(y, hn::Add(cb, cb)), hn::MulFixedPoint15(cb, blue_of_cb)), d,
               blue + i);
  }
}

// The channels of the result, [width][kBlock] in 2^-5 with `step` from pixel to pixel.
struct Channels {
  const int16_t* red;
  const int16_t* green;
  const int16_t* blue;
  size_t step;
};

// Rounds and stores `rows` rows of bytes from row `y` of `result`.
void StoreRows(const Channels& channels, uint32_t y, size_t rows, std::vector<int16_t>* scratch,
               Image* result) {
  const Tag d;
  // Two neighbouring columns of bytes make one of int16, so that one transpose moves both; two
  // pixels make three of these. Rows are stored 16 bytes at a time: the stride is a multiple of it.
  const size_t pairs = (size_t{result->width} + 1) / 2 * 3;
  if (scratch->size() < (pairs + 8) * kBlock) scratch->resize((pairs + 8) * kBlock);
  int16_t* const paired = scratch->data();
  const auto level = [d](const int16_t* from) {
    const auto sum = hn::ShiftRight<5>(hn::Add(hn::LoadU(d, from), hn::Set(d, 16)));
    return hn::Min(hn::Max(sum, hn::Zero(d)), hn::Set(d, 255));
  };
  const auto pair = [](auto low, auto high) { return hn::Or(low, hn::ShiftLeft<8>(high)); };
  for (size_t x = 0; x < result->width; x += 2) {
    const size_t this_pixel = x * channels.step;
    const size_t next_pixel = std::min<size_t>(x + 1, result->width - 1) * channels.step;
    int16_t* to = paired + x / 2 * 3 * kBlock;
    for (size_t part = 0; part < kBlock; part += hn::Lanes(d), to += hn::Lanes(d)) {
      const size_t here = this_pixel + part, next = next_pixel + part;
      hn::StoreU(pair(level(channels.red + here), level(channels.green + here)), d, to);
      hn::StoreU(pair(level(channels.blue + here), level(channels.red + next)), d, to + kBlock);
      hn::StoreU(pair(level(channels.green + next), level(channels.blue + next)), d,
                 to + 2 * kBlock);
    }
  }
  HWY_ALIGN int16_t tile[8 * 8];
  // An odd width's pixel too many may lie behind the stride.
  const size_t stored = std::min(pairs, result->stride / 2);
  for (size_t p = 0; p < stored; p += 8) {
    for (size_t r = 0; r < rows; r += 8) {
      Transpose8x8(paired + p * kBlock + r, kBlock, tile, 8);
      for (size_t k = 0; k < std::min<size_t>(8, rows - r); ++k) {
        std::memcpy(result->Row(y + static_cast<uint32_t>(r + k)) + 2 * p, tile + 8 * k, 16);
      }
    }
  }
}

void Resample(const DecodedImage& source, const std::vector<const Image*>& samples,
              ResizeScratch* scratch, Image* result) {
  using Colors = DecodedImage::Colors;
  auto& planes = scratch->planes;
  for (uint32_t y = 0; y < result->height; y += kBlock) {
    const size_t rows = std::min<size_t>(kBlock, result->height - y);
    for (size_t p = 0; p < samples.size(); ++p) {
      ResamplePlane(*samples[p], y, rows, &scratch->rows, &planes[p]);
    }
    if (source.colors == Colors::kYcc) YccToRgb(&planes, result->width * kBlock);
    const int16_t* const first = planes[0].result.data();
    Channels channels = {first, first, first, kBlock};
    if (source.colors == Colors::kRgb) {
      channels = {first, first + kBlock, first + 2 * kBlock, 3 * kBlock};
    } else if (source.colors != Colors::kGrey) {
      channels = {first, planes[1].result.data(), planes[2].result.data(), kBlock};
    }
    StoreRows(channels, y, rows, &scratch->pairs, result);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace navit
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit {

HWY_EXPORT(Resample);

void ResizeImage(const DecodedImage& source, uint32_t width, uint32_t height,
                 Interpolation interpolation, ResizeScratch* scratch, Image* result) {
  const std::vector<const Image*> samples =
      resize_internal::PreparePlanes(source, width, height, interpolation, scratch);
  result->Resize(width, height);
  HWY_DYNAMIC_DISPATCH(Resample)(source, samples, scratch, result);
}

}  // namespace navit
#endif  // HWY_ONCE
