// embedding.h (kernels/) on a GPU. Its backward pass is scatter_rows.h: once with the ids as rows,
// once with the places within segments.
#ifndef NAVIT_KERNELS_CUDA_EMBEDDING_H_
#define NAVIT_KERNELS_CUDA_EMBEDDING_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// y[t, :] = token_table[ids[t], :] + position_table[place[t], :], for t < used_tokens; rows of
// padding become 0 and their ids and places are not read. y [tokens, dim] bf16, assigned; the
// tables
// [., dim] fp32; place[t] is the token's place within its segment. Tolerance: 1 bf16 ulp.
struct EmbeddingForwardArgs {
  int64_t tokens = 0, used_tokens = 0, dim = 0;
  const uint16_t* ids = nullptr;
  const int32_t* place = nullptr;
  const float* token_table = nullptr;
  const float* position_table = nullptr;
  Bf16* y = nullptr;
};

LaunchError EmbeddingForward(const EmbeddingForwardArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_EMBEDDING_H_
