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

// Keys' cubic convolution kernel with a = -1/2; zero beyond 2. Without branches, for vectors.
double Cubic(double x) {
  x = x < 0 ? -x : x;
  const double near = (1.5 * x - 2.5) * x * x + 1;
  const double far = ((-0.5 * x + 2.5) * x - 4) * x + 2;
  const double outer = x < 2 ? far : 0;
  return x < 1 ? near : outer;
}

double Triangle(double x) {
  x = x < 0 ? -x : x;
  return x < 1 ? 1 - x : 0;
}

// Rounds half up, for |x| <= 2^15; truncation of what is above zero.
int Round(double x) { return static_cast<int>(x + 65536.5) - 65536; }

// Half the length of the kernel over samples, for outputs `scale` samples apart; of a box with the
// half of a sample that may stick into it.
double Support(Interpolation interpolation, double scale) {
  const double widening = scale > 1 ? scale : 1;
  if (interpolation == Interpolation::kBox) return scale / 2 + 0.5;
  return interpolation == Interpolation::kBilinear ? widening : 2 * widening;
}

// The kernel at the centres of `taps` samples, of which the first is `nearest` off its centre.
void Kernel(Interpolation interpolation, double scale, double nearest, uint32_t taps,
            double* weights) {
  const double narrowing = 1 / (scale > 1 ? scale : 1);
  switch (interpolation) {
    case Interpolation::kBicubic:
      for (uint32_t t = 0; t < taps; ++t) weights[t] = Cubic((nearest + t) * narrowing);
      return;
    case Interpolation::kBilinear:
      for (uint32_t t = 0; t < taps; ++t) weights[t] = Triangle((nearest + t) * narrowing);
      return;
    case Interpolation::kBox:
      for (uint32_t t = 0; t < taps; ++t) {
        const double low = std::max(nearest + t - 0.5, -scale / 2);
        const double high = std::min(nearest + t + 0.5, scale / 2);
        weights[t] = std::max(0.0, high - low);
      }
      return;
  }
}

}  // namespace

void MakeWeights(uint32_t in, double begin, double extent, uint32_t out,
                 Interpolation interpolation, std::vector<double>* kernel, Weights* result) {
  const double scale = extent / out;
  const double support = Support(interpolation, scale);
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
    const double centre = begin + (i + 0.5) * scale;
    // The first sample whose centre is inside.
    const double lowest = centre - support + 0.5;
    const uint32_t first = std::min(lowest > 0 ? static_cast<uint32_t>(lowest) : 0u, in - taps);
    result->first[i] = first;
    const double nearest = first + 0.5 - centre;
    Kernel(interpolation, scale, nearest, taps, exact);
    double sum = 0;
    for (uint32_t t = 0; t < taps; ++t) sum += exact[t];
    const double unit = kOne / sum;
    int16_t* const weights = &result->weights[size_t{i} * taps];
    int total = 0;
    for (uint32_t t = 0; t < taps; ++t) {
      const int rounded = Round(exact[t] * unit);
      weights[t] = static_cast<int16_t>(rounded);
      total += rounded;
    }
    if (total == kOne) continue;
    int16_t* const largest = std::max_element(weights, weights + taps);
    *largest = static_cast<int16_t>(*largest + kOne - total);
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

std::vector<const Image*> PreparePlanes(const DecodedImage& source, uint32_t width, uint32_t height,
                                        Interpolation interpolation, ResizeScratch* scratch) {
  std::vector<const Image*> samples;
  for (size_t p = 0; p < source.plane_count(); ++p) {
    const DecodedImage::Plane& plane = source.planes[p];
    ResizeScratch::Plane& prepared = scratch->planes[p];
    const uint32_t box_width = BoxSide(plane.samples.width, width);
    const uint32_t box_height = BoxSide(plane.samples.height, height);
    samples.push_back(&plane.samples);
    if (box_width > 1 || box_height > 1) {
      ReduceByBoxes(plane.samples, box_width, box_height, &prepared.reduced);
      samples[p] = &prepared.reduced;
    }
    // Chroma planes are alike, often like luma too.
    if (p > 0 && plane.left == source.planes[p - 1].left && plane.top == source.planes[p - 1].top &&
        plane.extent_width == source.planes[p - 1].extent_width &&
        plane.extent_height == source.planes[p - 1].extent_height) {
      prepared.vertical = scratch->planes[p - 1].vertical;
      prepared.horizontal = scratch->planes[p - 1].horizontal;
      continue;
    }
    MakeWeights(samples[p]->height, plane.top / box_height, plane.extent_height / box_height,
                height, interpolation, &scratch->kernel, &prepared.own_vertical);
    MakeWeights(samples[p]->width, plane.left / box_width, plane.extent_width / box_width, width,
                interpolation, &scratch->kernel, &prepared.own_horizontal);
    prepared.vertical = &prepared.own_vertical;
    prepared.horizontal = &prepared.own_horizontal;
  }
  return samples;
}

}  // namespace navit::resize_internal
