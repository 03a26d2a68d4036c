// Resampling of decoded images to 8-bit RGB in fixed point, with the same bits on every SIMD
// target.
#ifndef NAVIT_PACKER_RESIZE_H_
#define NAVIT_PACKER_RESIZE_H_

#include <array>
#include <cstdint>
#include <vector>

#include "packer/image.h"

namespace navit {

namespace resize_internal {

// out[i] = sum over t of weights[i * taps + t] * in[first[i] + t].
struct Weights {
  uint32_t taps = 0;
  // Rising.
  std::vector<uint32_t> first;
  // In 2^-14; each output's sum to 2^14 and their absolute values to less than 2^15 - 2^8.
  std::vector<int16_t> weights;
};

}  // namespace resize_internal

// Memory that calls reuse; one per thread.
struct ResizeScratch {
  struct Plane {
    Image reduced;
    // Its own, or those of an earlier plane of the same size.
    const resize_internal::Weights* vertical = nullptr;
    const resize_internal::Weights* horizontal = nullptr;
    resize_internal::Weights own_vertical;
    resize_internal::Weights own_horizontal;
    std::vector<int16_t> columns;
    std::vector<int16_t> result;
  };
  std::array<Plane, 3> planes;
  std::vector<int16_t> rows;
  std::vector<int16_t> pairs;
  std::vector<double> kernel;
};

// How samples become a pixel. Reducing, every kernel widens by the factor of reduction (antialias).
enum class Interpolation {
  // Keys' cubic convolution, a = -1/2, over 4 samples (Pillow's BICUBIC).
  kBicubic,
  // 1 - |x|, over 2 samples (Pillow's BILINEAR).
  kBilinear,
  // The mean over the pixel's area, in which samples at its border count by their part in it.
  // Enlarging, that is one sample, or the mixture of two that the pixel lies on.
  kBox,
};

// `source` as width x height pixels of RGB, by `interpolation` with antialias; half-pixel centres,
// weights renormalised at the borders.
//
// Each plane is resampled from its own size; then Y, Cb, Cr become RGB, so that both the
// enlargement of chroma and the conversion happen once, on the pixels of the result.
//
// A side of a plane that shrinks to an eighth or less is first averaged over whole boxes of
// floor(factor / 4) samples, so that the kernel stays short.
//
// Arithmetic: weights in 2^-14 that sum to exactly 1; first the rows are combined (samples in 2^-7,
// products rounded to 2^-6), then the columns (products rounded to 2^-5), then colours (factors in
// 2^-15, products rounded to 2^-5); the sum is rounded half up and clamped. At most 1 level away
// from the same formula in real numbers for kernels of up to 12 taps, 2 for any; one more for
// YCbCr.
//
// Requires all sides in [1, 2^20]; `source` and `result` differ.
void ResizeImage(const DecodedImage& source, uint32_t width, uint32_t height,
                 Interpolation interpolation, ResizeScratch* scratch, Image* result);

// The definition, in plain loops; the tests compare every SIMD target with it.
void ResizeImageReference(const DecodedImage& source, uint32_t width, uint32_t height,
                          Interpolation interpolation, Image* result);

namespace resize_internal {

// For `in` samples of which [begin, begin + extent) is resampled to `out` outputs; the first and
// the last sample may be in it with a part. `kernel` is scratch.
void MakeWeights(uint32_t in, double begin, double extent, uint32_t out,
                 Interpolation interpolation, std::vector<double>* kernel, Weights* weights);

// Side of the boxes to average before resampling `in` to `out`.
uint32_t BoxSide(uint32_t in, uint32_t out);
// Averages boxes of box_width x box_height pixels, rounded half up; boxes at the right and lower
// border may be smaller.
void ReduceByBoxes(const Image& source, uint32_t box_width, uint32_t box_height, Image* result);

// The planes of `source` that its colours use: averages their boxes and sets their weights in
// `scratch`. Returns the samples to resample, of each.
std::vector<const Image*> PreparePlanes(const DecodedImage& source, uint32_t width, uint32_t height,
                                        Interpolation interpolation, ResizeScratch* scratch);

// JFIF's conversion, of samples in 2^-5; factors in 2^-15 (1.402 = 1 + 0.402, 1.772 = 2 - 0.228).
inline constexpr int kRedOfCr = 13173;
inline constexpr int kGreenOfCb = -11277;
inline constexpr int kGreenOfCr = -23401;
inline constexpr int kBlueOfCb = -7471;
inline constexpr int kChromaCentre = 128 << 5;
// No sum can overflow behind these bounds, which pictures do not reach: luma in [-256, 512) levels,
// chroma within 256 of its centre.
inline constexpr int kLeastLuma = -256 * 32;
inline constexpr int kMostLuma = 512 * 32 - 1;
inline constexpr int kMostChroma = 256 * 32 - 1;

}  // namespace resize_internal
}  // namespace navit

#endif  // NAVIT_PACKER_RESIZE_H_
