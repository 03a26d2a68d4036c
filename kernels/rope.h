// Two-dimensional rotary position embedding (Qwen2-VL, arXiv 2409.12191): the channels of each head
// of q and k turn in pairs (d, d + head_dim / 2), the first half of the pairs by angles of the
// token's row, the other half by those of its column.
#ifndef NAVIT_KERNELS_ROPE_H_
#define NAVIT_KERNELS_ROPE_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// cos_sin [tokens, 2, head_dim / 2]: cosines, then sines, of the angles
//   coordinates[t, 0]·ω_i for pair i < head_dim/4, coordinates[t, 1]·ω_(i − head_dim/4) otherwise,
//   ω_i = 10000^(−i / (head_dim/4)).
// coordinates [tokens, 2]; head_dim is a multiple of 4. Computed in double, one table for all
// layers and heads.
void RopeTable(int64_t tokens, int64_t head_dim, const float* coordinates, float* cos_sin);

// Turns q and k of qkv [tokens, 3, heads, head_dim] in place; v stays. `inverse` turns back, which
// is the gradient with respect to what went in.
// Tolerance of _cpu against _ref: 1e-6 relative to the pair's length.
struct RopeArgs {
  int64_t tokens = 0, heads = 0, head_dim = 0;
  const float* cos_sin = nullptr;
  float* qkv = nullptr;
  bool inverse = false;
};

void Rope(const RopeArgs& args, ThreadPool& pool);

namespace ref {
void Rope(const RopeArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_ROPE_H_
