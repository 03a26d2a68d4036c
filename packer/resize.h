// Resampling of 8-bit RGB images in fixed point, with the same bits on every SIMD target.
#ifndef NAVIT_PACKER_RESIZE_H_
#define NAVIT_PACKER_RESIZE_H_

#include <cstdint>
#include <vector>

#include "packer/image.h"

namespace navit {

// Memory that calls reuse; one per thread.
struct ResizeScratch {
  std::vector<int16_t> rows;
  std::vector<int16_t> columns;
  std::vector<int16_t> result;
  Image reduced;
};

// `source` as width x height pixels: bicubic (Keys, a = -1/2) with antialias, that is, the kernel
// widens by the factor of reduction (Pillow's BICUBIC); half-pixel centres, weights renormalised at
// the borders.
//
// A side that shrinks to an eighth or less is first averaged over whole boxes of
// floor(factor / 4) pixels, so that the kernel stays short.
//
// Arithmetic: weights in 2^-14 that sum to exactly 1; first the rows are combined (pixels in 2^-7,
// products rounded to 2^-6), then the columns (products rounded to 2^-5); the sum is rounded half
// up and clamped. At most 1 level away from the same formula in real numbers for kernels of up to
// 12 taps, 2 for any.
//
// Requires all sides in [1, 2^20]; `source` and `result` differ.
void ResizeImage(const Image& source, uint32_t width, uint32_t height, ResizeScratch* scratch,
                 Image* result);

// The definition, in plain loops; the tests compare every SIMD target with it.
void ResizeImageReference(const Image& source, uint32_t width, uint32_t height, Image* result);

namespace resize_internal {

// out[i] = sum over t of weights[i * taps + t] * in[first[i] + t].
struct Weights {
  uint32_t taps = 0;
  std::vector<uint32_t> first;
  // In 2^-14; each output's sum to 2^14 and their absolute values to less than 2^15 - 2^8.
  std::vector<int16_t> weights;
};

// For `in` samples that represent a length of `extent` <= in samples (the last may be a part of a
// box) and `out` outputs.
Weights MakeWeights(uint32_t in, double extent, uint32_t out);

// Side of the boxes to average before resampling `in` to `out`.
uint32_t BoxSide(uint32_t in, uint32_t out);
// Averages boxes of box_width x box_height pixels, rounded half up; boxes at the right and lower
// border may be smaller.
void ReduceByBoxes(const Image& source, uint32_t box_width, uint32_t box_height, Image* result);

}  // namespace resize_internal
}  // namespace navit

#endif  // NAVIT_PACKER_RESIZE_H_
