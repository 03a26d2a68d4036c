// Weights and boxes of the resize. Compiled with -ffp-contract=off: IEEE additions, multiplications
// and divisions in a fixed order give the same weights on every machine.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "packer/resize.h"

namespace navit::resize_internal {
namespace {

constexpr int kOne = 1 << 14;

// Keys' cubic convolution kernel with a = -1/2; zero beyond 2.
double Cubic(double x) {
  x = x < 0 ? -x : x;
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// Rounds half up; exact for what fits.
int Round(double x) {
  const double shifted = x + 0.5;
  int rounded = static_cast<int>(shifted);
  if (rounded > shifted) --rounded;
  return rounded;
}

}  // namespace

void MakeWeights(uint32_t in, double extent, uint32_t out, std::vector<double>* kernel,
                 Weights* result) {
  const double scale = extent / out;
  const double widening = scale > 1 ? scale : 1;
  const double narrowing = 1 / widening;
  const double support = 2 * widening;
  // An open interval of length 2 * support holds the centres of at most so many samples.
  const double longest = 2 * support;
  uint32_t taps = static_cast<uint32_t>(longest);
  if (taps < longest) ++taps;
  taps = std::min(in, taps);
  result->taps = taps;
  result->first.resize(out);
  result->weights.resize(size_t{out} * taps);
  kernel->resize(taps);
  double* const exact = kernel->data();
  for (uint32_t i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    // The first sample whose centre is inside.
    const double lowest = centre - support + 0.5;
    const uint32_t first = std::min(lowest > 0 ? static_cast<uint32_t>(lowest) : 0u, in - taps);
    result->first[i] = first;
    const double begin = first + 0.5 - centre;
    for (uint32_t t = 0; t < taps; ++t) exact[t] = Cubic((begin + t) * narrowing);
    double sum = 0;
    for (uint32_t t = 0; t < taps; ++t) sum += exact[t];
    const double unit = kOne / sum;
    int16_t* const weights = &result->weights[size_t{i} * taps];
    int rest = kOne;
    uint32_t largest = 0;
    for (uint32_t t = 0; t < taps; ++t) {
      weights[t] = static_cast<int16_t>(Round(exact[t] * unit));
      rest -= weights[t];
      if (weights[t] > weights[largest]) largest = t;
    }
    weights[largest] = static_cast<int16_t>(weights[largest] + rest);
  }
}

uint32_t BoxSide(uint32_t in, uint32_t out) { return in / out >= 8 ? in / (4 * out) : 1; }

void ReduceByBoxes(const Image& source, uint32_t box_width, uint32_t box_height, Image* result) {
  const uint32_t channels = source.channels;
  result->Resize((source.width + box_width - 1) / box_width,
                 (source.height + box_height - 1) / box_height, channels);
  const size_t columns = size_t{channels} * source.width;
  std::vector<uint32_t> sums(columns);
  for (uint32_t y = 0; y < result->height; ++y) {
    const uint32_t top = y * box_height;
    const uint32_t rows = std::min(box_height, source.height - top);
    std::fill(sums.begin(), sums.end(), 0);
    for (uint32_t r = 0; r < rows; ++r) {
      const uint8_t* row = source.Row(top + r);
      for (size_t c = 0; c < columns; ++c) sums[c] += row[c];
    }
    uint8_t* to = result->Row(y);
    for (uint32_t x = 0; x < result->width; ++x) {
      const uint32_t left = x * box_width;
      const uint32_t width = std::min(box_width, source.width - left);
      const uint64_t pixels = uint64_t{width} * rows;
      for (uint32_t channel = 0; channel < channels; ++channel) {
        uint64_t sum = 0;
        for (uint32_t k = 0; k < width; ++k) sum += sums[size_t{channels} * (left + k) + channel];
        to[size_t{channels} * x + channel] = static_cast<uint8_t>((sum + pixels / 2) / pixels);
      }
    }
  }
}

void PreparePlane(const DecodedImage::Plane& source, uint32_t width, uint32_t height,
                  std::vector<double>* kernel, ResizeScratch::Plane* plane, const Image** samples) {
  const uint32_t box_width = BoxSide(source.samples.width, width);
  const uint32_t box_height = BoxSide(source.samples.height, height);
  *samples = &source.samples;
  if (box_width > 1 || box_height > 1) {
    ReduceByBoxes(source.samples, box_width, box_height, &plane->reduced);
    *samples = &plane->reduced;
  }
  MakeWeights((*samples)->height, source.extent_height / box_height, height, kernel,
              &plane->vertical);
  MakeWeights((*samples)->width, source.extent_width / box_width, width, kernel,
              &plane->horizontal);
}

}  // namespace navit::resize_internal
