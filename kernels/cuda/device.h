// All that a kernel may touch of the hardware. A kernel source includes this header and no CUDA
// header, and holds no assembly and no launch syntax, so that it compiles twice: by nvcc against
// device_nvcc.h, and by the host compiler against the twin in host_twin/, which runs grids on the
// CPU and checks every access (tests only).
//
// A kernel is a type:
//   struct Kernel {
//     struct Args { … };                       // plain data; raw pointers to device memory
//     static constexpr int kThreads = 128;     // threads of a block, a multiple of 32
//     static constexpr int kMinBlocks = 2;     // may be left out: blocks on an SM to leave room
//     for NAVIT_DEVICE static void Run(const Args& args);
//   };
//   LaunchError error = Launch<Kernel>({blocks, Kernel::kThreads, shared_bytes}, stream, args);
//
// Index     int ThreadIndex(), LaneIndex(), WarpIndex(); int64_t BlockIndex(), BlockCount()
// Memory    Global<T>(pointer), Shared<T>: Load(i), Store(i, value); LoadAs<V>(i) and StoreAs(i, v)
//           move sizeof(V) bytes from element i on, aligned to sizeof(V); p + i
//           SharedMemory<T>(byte_offset, count): part of the block's shared memory
// Order     BlockBarrier(): all threads of the block, and their accesses to memory
//           WarpBarrier(): the same for the 32 lanes of a warp
// Warp      ShuffleXor(value, mask), ShuffleFrom(value, lane): float, double, uint32_t; all
//           lanes call
// Tensor    Mma16x8x16(c, a, b0, b1): C[16, 8] += A[16, 16]·B[16, 8], bf16 in, fp32 sums
//           LoadMatrix4(r, row), LoadMatrix4Transposed(r, row): four 8×8 matrices of bf16 from
//           shared memory; lanes 8i … 8i+7 give the addresses of the rows of matrix i (16 bytes
//           each). Layouts over the lanes: PTX ISA, mma.m16n8k16 and ldmatrix.
// Copies    CopyAsync16(to, from, valid): 16 bytes from global to shared memory, zeros unless
//           `valid`; CopyAsyncCommit(); CopyAsyncWait<n>(): all but this thread's last n commits
//           are done. Others see them after a barrier that follows the wait.
// Numbers   ToFloat(Bf16), ToBf16(float), PackBf16(low, high), UnpackLow(u), UnpackHigh(u);
//           Exp2, Log2, Reciprocal, InverseSqrt (approximate: 2 ulp), Exp, Log, Log1p, Sqrt,
//           Erf, Sin, Cos, Max, Min, Fma
// Host      Launch<Kernel>(shape, stream, args); FillZero(pointer, bytes, stream)
#ifndef NAVIT_KERNELS_CUDA_DEVICE_H_
#define NAVIT_KERNELS_CUDA_DEVICE_H_

#ifdef __CUDACC__
#include "kernels/cuda/device_nvcc.h"
#else
#include "kernels/cuda/host_twin/device_twin.h"
#endif

namespace navit::kernels::cuda {

inline constexpr int kWarp = 32;

// 16 bytes, the widest load and store.
struct alignas(16) Vector16 {
  uint32_t word[4];
};

// 8 bf16 values of a Vector16 as floats, and back.
NAVIT_DEVICE void Unpack(const Vector16& from, float (&to)[8]) {
  NAVIT_UNROLL
  for (int i = 0; i < 4; ++i) {
    to[2 * i] = UnpackLow(from.word[i]);
    to[2 * i + 1] = UnpackHigh(from.word[i]);
  }
}

NAVIT_DEVICE Vector16 Pack(const float (&from)[8]) {
  Vector16 to;
  NAVIT_UNROLL
  for (int i = 0; i < 4; ++i) to.word[i] = PackBf16(from[2 * i], from[2 * i + 1]);
  return to;
}

// Queues zeros for rows [begin, end) of `width` values: padding.
template <typename T>
LaunchError FillZeroRows(T* rows, int64_t begin, int64_t end, int64_t width, Stream stream) {
  return FillZero(rows + begin * width, (end - begin) * width * static_cast<int64_t>(sizeof(T)),
                  stream);
}

// Over groups of kLanes neighbouring lanes (a power of two); every lane gets the result.
template <int kLanes = kWarp, typename T = float>
NAVIT_DEVICE T LaneSum(T value) {
  NAVIT_UNROLL
  for (int mask = kLanes / 2; mask > 0; mask /= 2) value += ShuffleXor(value, mask);
  return value;
}

template <int kLanes = kWarp>
NAVIT_DEVICE float LaneMax(float value) {
  NAVIT_UNROLL
  for (int mask = kLanes / 2; mask > 0; mask /= 2) value = Max(value, ShuffleXor(value, mask));
  return value;
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_DEVICE_H_
