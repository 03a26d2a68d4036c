#include <algorithm>
#include <cstddef>

#include "packer/resize.h"

namespace navit {
namespace {

// a * b / 2^15, rounded half up.
int MultiplyRound(int a, int b) { return (a * b + (1 << 14)) >> 15; }

}  // namespace

void ResizeImageReference(const Image& source, uint32_t width, uint32_t height, Image* result) {
  const uint32_t box_width = resize_internal::BoxSide(source.width, width);
  const uint32_t box_height = resize_internal::BoxSide(source.height, height);
  Image image;
  resize_internal::ReduceByBoxes(source, box_width, box_height, &image);
  const auto vertical = resize_internal::MakeWeights(
      image.height, static_cast<double>(source.height) / box_height, height);
  const auto horizontal = resize_internal::MakeWeights(
      image.width, static_cast<double>(source.width) / box_width, width);
  result->Resize(width, height);
  std::vector<int> row(size_t{3} * image.width);
  for (uint32_t y = 0; y < height; ++y) {
    for (size_t c = 0; c < row.size(); ++c) {
      row[c] = 0;
      for (uint32_t t = 0; t < vertical.taps; ++t) {
        row[c] += MultiplyRound(image.Row(vertical.first[y] + t)[c] << 7,
                                vertical.weights[size_t{y} * vertical.taps + t]);
      }
    }
    for (uint32_t x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        int sum = 0;
        for (uint32_t t = 0; t < horizontal.taps; ++t) {
          sum += MultiplyRound(row[size_t{3} * (horizontal.first[x] + t) + channel],
                               horizontal.weights[size_t{x} * horizontal.taps + t]);
        }
        result->Row(y)[size_t{3} * x + channel] =
            static_cast<uint8_t>(std::clamp((sum + 16) >> 5, 0, 255));
      }
    }
  }
}

}  // namespace navit
