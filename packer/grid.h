// The grid of patches that an image is scaled to. Integers only: a patch more or less on one
// machine would move every later pack.
#ifndef NAVIT_PACKER_GRID_H_
#define NAVIT_PACKER_GRID_H_

#include <cstdint>

namespace navit {

struct Grid {
  uint32_t rows = 0;
  uint32_t columns = 0;
};

// The grid of an image of width x height pixels whose area is to be `area` patches (in units of
// 2^-32 patches).
//
// Rule (plan version 1). With A = min(area, budget), the wished sides are r = sqrt(A height /
// width) and c = sqrt(A width / height), in units of 2^-16 patches, rounded down. A side above
// max_grid is set to max_grid, and the other shrinks with it. Then each side is at least 1 and at
// most budget patches. Of the up to four grids of rounded-down and rounded-up sides with at most
// max_grid a side and at most `budget` patches, the one whose worse side is nearest to the wished
// one, as a ratio, is taken; of equals the one with fewer patches, then with fewer rows. So the
// aspect ratio is kept as nearly as whole patches allow, and an image is scaled to fit, never
// refused.
//
// Requires width, height in [1, 2^31); budget, max_grid in [1, 65536].
Grid ChooseGrid(uint32_t width, uint32_t height, uint64_t area, uint32_t budget, uint32_t max_grid);

// `area` for an image of width x height pixels that is to have `pixels` (in units of 2^-32 pixels):
// at most the image's own area times the square of `max_upscale` (2^-16), in patches of
// patch_size^2 pixels. Requires max_upscale < 2^24.
uint64_t AreaInPatches(uint32_t width, uint32_t height, uint64_t pixels, uint32_t max_upscale,
                       uint32_t patch_size);

// Square root of `pixels` (2^-32 pixels), in units of 2^-16 pixels, rounded down.
uint64_t SideOfSquare(uint64_t pixels);

}  // namespace navit

#endif  // NAVIT_PACKER_GRID_H_
