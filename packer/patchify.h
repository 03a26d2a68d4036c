// Which patches of an image are kept, and their bytes.
#ifndef NAVIT_PACKER_PATCHIFY_H_
#define NAVIT_PACKER_PATCHIFY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "packer/image.h"
#include "packer/philox.h"

namespace navit {

// `kept` of the `patches` patches of a grid, each set equally likely, in rising order: a partial
// Fisher-Yates shuffle by `draws`. All of them, without a draw, when kept == patches.
// Requires 1 <= kept <= patches <= 65536.
std::vector<uint32_t> ChoosePatches(uint32_t patches, uint32_t kept, Draws draws);

// Appends the patches `chosen` (row-major numbers in the grid) of `image`, whose sides are
// multiples of patch_size: uint8 [chosen, patch_size, patch_size, 3] to `patches`, and uint16
// little-endian [chosen, 2], row and column, to `positions`.
void AppendPatches(const Image& image, uint32_t patch_size, const std::vector<uint32_t>& chosen,
                   std::string* patches, std::string* positions);

}  // namespace navit

#endif  // NAVIT_PACKER_PATCHIFY_H_
