#include "packer/bench/photos.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "packer/image.h"
#include "packer/quantile_table.h"
#include "packer/testing/encode.h"

namespace navit {
namespace {

constexpr uint32_t kPatch = 16;
constexpr uint32_t kSequenceLength = 576;
constexpr uint32_t kMaxGrid = 128;

// Adds noise on a lattice of `cell` pixels, interpolated, to all three channels with these factors.
void AddOctave(uint32_t width, uint32_t height, uint32_t cell, const float factors[3],
               std::mt19937* generator, std::vector<float>* pixels) {
  const uint32_t columns = width / cell + 2;
  std::vector<float> lattice(size_t{columns} * (height / cell + 2));
  std::normal_distribution<float> normal;
  for (float& value : lattice) value = normal(*generator);
  for (uint32_t y = 0; y < height; ++y) {
    const float* above = &lattice[size_t{y / cell} * columns];
    const float v = static_cast<float>(y % cell) / cell;
    for (uint32_t x = 0; x < width; ++x) {
      const float* at = above + x / cell;
      const float u = static_cast<float>(x % cell) / cell;
      const float value = (at[0] * (1 - u) + at[1] * u) * (1 - v) +
                          (at[columns] * (1 - u) + at[columns + 1] * u) * v;
      for (int c = 0; c < 3; ++c) (*pixels)[3 * (size_t{y} * width + x) + c] += factors[c] * value;
    }
  }
}

}  // namespace

std::string MakePhoto(uint32_t width, uint32_t height, double bits_per_pixel, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> pixels(size_t{3} * width * height, 128);
  for (uint32_t cell = 2; cell <= 256; cell *= 2) {
    // Levels at the finest octave, and their growth, as of a sharp photograph with some grain.
    const float amplitude = 3.2f * std::pow(static_cast<float>(cell), 0.55f);
    const float luma[3] = {amplitude, amplitude, amplitude};
    const float warm[3] = {0, 0.4f * amplitude, 0};
    const float cold[3] = {0, 0, 0.4f * amplitude};
    for (const float* factors : {luma, warm, cold}) {
      AddOctave(width, height, cell, factors, &generator, &pixels);
    }
  }
  Image image;
  image.Resize(width, height);
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < 3 * width; ++x) {
      image.Row(y)[x] =
          static_cast<uint8_t>(std::clamp(pixels[size_t{3} * width * y + x], 0.0f, 255.0f));
    }
  }
  testing::JpegOptions options;
  int low = 1, high = 100;
  while (low < high) {
    options.quality = (low + high) / 2;
    const double bits = 8.0 * static_cast<double>(testing::EncodeJpeg(image, options).size());
    if (bits < bits_per_pixel * width * height) {
      low = options.quality + 1;
    } else {
      high = options.quality;
    }
  }
  options.quality = low;
  return testing::EncodeJpeg(image, options);
}

std::vector<Grid> DrawGrids(uint32_t width, uint32_t height, uint32_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  const QuantileTable side = QuantileTable::TruncatedNormal(-0.5);
  std::vector<Grid> grids;
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t u = side(static_cast<uint32_t>(generator()));
    const uint64_t pixels = (uint64_t{64} << 16) + (u * (384 - 64) >> 16);
    const uint64_t area = AreaInPatches(width, height, pixels * pixels, 1 << 16, kPatch);
    grids.push_back(ChooseGrid(width, height, area, kSequenceLength, kMaxGrid));
  }
  return grids;
}

}  // namespace navit
