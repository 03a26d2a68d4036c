// What a measurement of linear_choices.h has to choose from, and what it holds for.
#ifndef NAVIT_KERNELS_CUDA_LINEAR_CANDIDATES_H_
#define NAVIT_KERNELS_CUDA_LINEAR_CANDIDATES_H_

#include <cstdint>
#include <vector>

#include "kernels/cuda/linear_choices.h"

namespace navit::kernels::cuda {

// At most `most` algorithms that cuBLASLt's heuristic proposes for a product with a workspace of
// such a size, by its estimate of their time, as far as they are IsReproducible and cuBLASLt
// accepts them when they are made anew from their configuration, as an engine does with a choice.
// Empty: none. `memory`: any of the device, 256-byte aligned, in the place of bias and GELU's
// argument.
std::vector<LinearAlgorithm> LinearCandidates(const LinearShape& shape, void* memory,
                                              int64_t workspace_bytes, int most);

// CUDA's current device and the cuBLASLt that is loaded; an empty name or version 0: there is none.
LinearDevice CurrentLinearDevice();

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_LINEAR_CANDIDATES_H_
