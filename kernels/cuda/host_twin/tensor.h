// The warp-wide matrix instructions, computed from the registers of all 32 lanes.
#ifndef NAVIT_KERNELS_CUDA_HOST_TWIN_TENSOR_H_
#define NAVIT_KERNELS_CUDA_HOST_TWIN_TENSOR_H_

#include <cstdint>

namespace navit::kernels::cuda::twin {

// PTX mma.m16n8k16 with .bf16 operands and .f32 sums. With group = lane / 4, in = lane % 4:
//   A 16×16: a[0] (group, 2·in), a[1] (group + 8, 2·in), a[2] (group, 2·in + 8),
//            a[3] (group + 8, 2·in + 8); each holds that column in its low half, the next in its
//            high half
//   B 16×8:  b[0] (2·in, group), b[1] (2·in + 8, group); low half that row, high half the next
//   C 16×8:  c[0] (group, 2·in), c[1] (group, 2·in + 1), c[2], c[3] the same of row group + 8
struct MmaLane {
  float* c;           // [4], added to
  const uint32_t* a;  // [4]
  uint32_t b[2];
};
void Mma(MmaLane* const (&lanes)[32]);

// PTX ldmatrix.x4.b16: rows[8·i + r] is row r of matrix i, 8 elements. Lane l receives of matrix i
// the elements (l / 4, 2·(l % 4)) and (l / 4, 2·(l % 4) + 1), or transposed, with row and column
// exchanged.
struct LoadMatrixLane {
  uint16_t row[8];  // what this lane's address points at
  uint32_t* r;      // [4]
};
void LoadMatrix(LoadMatrixLane* const (&lanes)[32], bool transposed);

}  // namespace navit::kernels::cuda::twin

#endif  // NAVIT_KERNELS_CUDA_HOST_TWIN_TENSOR_H_
