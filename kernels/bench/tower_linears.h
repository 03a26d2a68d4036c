// The products that a tower's linear layers are made of.
#ifndef NAVIT_KERNELS_BENCH_TOWER_LINEARS_H_
#define NAVIT_KERNELS_BENCH_TOWER_LINEARS_H_

#include <cstdint>
#include <vector>

#include "kernels/cuda/linear_choices.h"

namespace navit::kernels::cuda {

// Each product of a tower over so many tokens once, forward and backward, with each epilogue that
// its options lead to: biases of attention or none, LayerScale (which takes the sum with the
// residual out of the product) or none, GELU by tanh or by erf. `patch_values`: numbers of a patch.
// Left out is what has a row per segment: the head, and what follows attention pooling.
std::vector<LinearShape> TowerLinears(int64_t tokens, int64_t width, int64_t mlp,
                                      int64_t patch_values);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_BENCH_TOWER_LINEARS_H_
