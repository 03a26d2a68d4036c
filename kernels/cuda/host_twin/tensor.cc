#include "kernels/cuda/host_twin/tensor.h"

#include "kernels/cuda/bf16.h"

namespace navit::kernels::cuda::twin {
namespace {

float Low(uint32_t pair) { return Bf16ToFloat({static_cast<uint16_t>(pair)}); }
float High(uint32_t pair) { return Bf16ToFloat({static_cast<uint16_t>(pair >> 16)}); }

}  // namespace

void Mma(MmaLane* const (&lanes)[32]) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, in = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = group + i % 2 * 8, column = 2 * in + i / 2 * 8;
      a[row][column] = Low(lanes[lane]->a[i]);
      a[row][column + 1] = High(lanes[lane]->a[i]);
    }
    for (int i = 0; i < 2; ++i) {
      b[2 * in + 8 * i][group] = Low(lanes[lane]->b[i]);
      b[2 * in + 8 * i + 1][group] = High(lanes[lane]->b[i]);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = 2 * (lane % 4) + i % 2;
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      lanes[lane]->c[i] += sum;
    }
  }
}

void LoadMatrix(LoadMatrixLane* const (&lanes)[32], bool transposed) {
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      uint32_t pair = 0;
      for (int half = 0; half < 2; ++half) {
        const int row = lane / 4, column = 2 * (lane % 4) + half;
        const uint16_t element =
            transposed ? lanes[8 * i + column]->row[row] : lanes[8 * i + row]->row[column];
        pair |= static_cast<uint32_t>(element) << (16 * half);
      }
      lanes[lane]->r[i] = pair;
    }
  }
}

}  // namespace navit::kernels::cuda::twin
