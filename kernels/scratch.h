// Reusable working memory of a thread, so that kernels do not allocate in the step loop.
#ifndef NAVIT_KERNELS_SCRATCH_H_
#define NAVIT_KERNELS_SCRATCH_H_

#include <cstddef>

namespace navit::kernels {

// One buffer per use and thread: uses that may be alive at the same time have different names.
enum class ScratchUse { kGemmA, kGemmB, kAttention, kReduction, kTile, kCount };

// At least `floats` floats, aligned for every SIMD target, contents undefined. Valid until the next
// call with the same use on the same thread. Grows to the largest request and stays.
float* Scratch(ScratchUse use, size_t floats);

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_SCRATCH_H_
