// Pictures for the benchmarks that cost a decoder what photographs cost it.
#ifndef NAVIT_PACKER_BENCH_PHOTOS_H_
#define NAVIT_PACKER_BENCH_PHOTOS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "packer/grid.h"

namespace navit {

// A JPEG (baseline, 4:2:0) of noise whose spectrum falls as that of photographs (amplitude as
// 1 / frequency, chroma weaker than luma), at the least quality that takes `bits_per_pixel`. A
// function of its arguments alone.
std::string MakePhoto(uint32_t width, uint32_t height, double bits_per_pixel, uint32_t seed);

// `count` grids of patches of 16 pixels for an image of width x height, drawn as the job default
// draws them: N(-0.5, 1) over sides of [64, 384] pixels, aspect kept, never enlarged.
std::vector<Grid> DrawGrids(uint32_t width, uint32_t height, uint32_t count, uint32_t seed);

}  // namespace navit

#endif  // NAVIT_PACKER_BENCH_PHOTOS_H_
