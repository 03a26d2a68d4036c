#include <algorithm>
#include <cstddef>

#include "packer/resize.h"

namespace navit {
namespace {

using namespace resize_internal;

// a * b / 2^15, rounded half up.
int MultiplyRound(int a, int b) { return (a * b + (1 << 14)) >> 15; }

uint8_t Level(int sum) { return static_cast<uint8_t>(std::clamp((sum + 16) >> 5, 0, 255)); }

// [height, width * channels] in 2^-5.
std::vector<int> ResamplePlane(const Image* samples, const Weights& vertical,
                               const Weights& horizontal, uint32_t width, uint32_t height) {
  const uint32_t channels = samples->channels;
  std::vector<int> row(size_t{channels} * samples->width);
  std::vector<int> result;
  for (uint32_t y = 0; y < height; ++y) {
    for (size_t c = 0; c < row.size(); ++c) {
      row[c] = 0;
      for (uint32_t t = 0; t < vertical.taps; ++t) {
        row[c] += MultiplyRound(samples->Row(vertical.first[y] + t)[c] << 7,
                                vertical.weights[size_t{y} * vertical.taps + t]);
      }
    }
    for (uint32_t x = 0; x < width; ++x) {
      for (uint32_t channel = 0; channel < channels; ++channel) {
        int sum = 0;
        for (uint32_t t = 0; t < horizontal.taps; ++t) {
          sum += MultiplyRound(row[size_t{channels} * (horizontal.first[x] + t) + channel],
                               horizontal.weights[size_t{x} * horizontal.taps + t]);
        }
        result.push_back(sum);
      }
    }
  }
  return result;
}

void YccToRgb(int luma, int cb, int cr, uint8_t* rgb) {
  const int y = std::clamp(luma, kLeastLuma, kMostLuma);
  const int b = std::clamp(cb - kChromaCentre, -kMostChroma, kMostChroma);
  const int r = std::clamp(cr - kChromaCentre, -kMostChroma, kMostChroma);
  rgb[0] = Level(y + r + MultiplyRound(r, kRedOfCr));
  rgb[1] = Level(y + MultiplyRound(b, kGreenOfCb) + MultiplyRound(r, kGreenOfCr));
  rgb[2] = Level(y + 2 * b + MultiplyRound(b, kBlueOfCb));
}

}  // namespace

void ResizeImageReference(const DecodedImage& source, uint32_t width, uint32_t height,
                          Interpolation interpolation, Image* result) {
  using Colors = DecodedImage::Colors;
  result->Resize(width, height);
  ResizeScratch scratch;
  const std::vector<const Image*> samples =
      PreparePlanes(source, width, height, interpolation, &scratch);
  std::array<std::vector<int>, 3> planes;
  for (size_t p = 0; p < samples.size(); ++p) {
    planes[p] = ResamplePlane(samples[p], *scratch.planes[p].vertical,
                              *scratch.planes[p].horizontal, width, height);
  }
  size_t i = 0;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x, ++i) {
      uint8_t* const rgb = result->Row(y) + size_t{3} * x;
      if (source.colors == Colors::kYcc) {
        YccToRgb(planes[0][i], planes[1][i], planes[2][i], rgb);
        continue;
      }
      for (size_t c = 0; c < 3; ++c) {
        rgb[c] = Level(source.colors == Colors::kRgb    ? planes[0][3 * i + c]
                       : source.colors == Colors::kGrey ? planes[0][i]
                                                        : planes[c][i]);
      }
    }
  }
}

}  // namespace navit
