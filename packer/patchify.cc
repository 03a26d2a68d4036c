#include "packer/patchify.h"

#include <cstddef>
#include <cstring>
#include <numeric>
#include <utility>

namespace navit {

std::vector<uint32_t> ChoosePatches(uint32_t patches, uint32_t kept, Draws draws) {
  std::vector<uint32_t> order(patches);
  std::iota(order.begin(), order.end(), 0u);
  if (kept == patches) return order;
  std::vector<bool> chosen(patches, false);
  for (uint32_t i = 0; i < kept; ++i) {
    std::swap(order[i], order[i + draws.Below(patches - i)]);
    chosen[order[i]] = true;
  }
  std::vector<uint32_t> rising;
  rising.reserve(kept);
  for (uint32_t patch = 0; patch < patches; ++patch) {
    if (chosen[patch]) rising.push_back(patch);
  }
  return rising;
}

void AppendPatches(const Image& image, uint32_t patch_size, const std::vector<uint32_t>& chosen,
                   std::string* patches, std::string* positions) {
  const uint32_t columns = image.width / patch_size;
  const size_t row_bytes = size_t{3} * patch_size;
  size_t at = patches->size();
  patches->resize(at + chosen.size() * row_bytes * patch_size);
  char* const out = &(*patches)[0];
  for (const uint32_t patch : chosen) {
    const uint32_t row = patch / columns;
    const uint32_t column = patch % columns;
    for (uint32_t y = 0; y < patch_size; ++y, at += row_bytes) {
      std::memcpy(out + at, image.Row(row * patch_size + y) + row_bytes * column, row_bytes);
    }
    for (const uint32_t coordinate : {row, column}) {
      positions->push_back(static_cast<char>(coordinate));
      positions->push_back(static_cast<char>(coordinate >> 8));
    }
  }
}

}  // namespace navit
