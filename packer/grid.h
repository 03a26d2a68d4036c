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
// Rule (since plan version 3). The wished area A is the largest of at most `area` and at most
// `budget` whose sides at the image's own aspect ratio,
//
//   r = sqrt(A height / width)   and   c = sqrt(A width / height),
//
// are at most max_grid; both are real numbers. Of all grids of R rows and C columns with
// 1 <= R, C <= max_grid and R C <= budget, the one of the least error is taken:
//
//   error(R, C) = |ln((R / C) / (r / c))| + |ln(R C / A)|,
//
// how far the aspect ratio is from the image's, and the area from the wished one, on the same
// scale. As |x - y| + |x + y| = 2 max(|x|, |y|), it is also twice the larger of |ln(R / r)| and
// |ln(C / c)|, the worse of what rounding does to the two sides. Of equal errors the grid is taken
// whose other side is nearer to its wish, then the one of nearer aspect ratio, then of fewer
// patches, then of fewer rows.
//
// An image is scaled to fit, never refused: one that is thinner than a patch gets one row or column
// of them.
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
