// device.h for nvcc: the only place with CUDA headers, assembly and launch syntax.
#ifndef NAVIT_KERNELS_CUDA_DEVICE_NVCC_H_
#define NAVIT_KERNELS_CUDA_DEVICE_NVCC_H_

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

#define NAVIT_DEVICE __device__ __forceinline__
#define NAVIT_UNROLL _Pragma("unroll")
#define NAVIT_UNROLL_TWICE _Pragma("unroll 2")

namespace navit::kernels::cuda {

// --- index

NAVIT_DEVICE int ThreadIndex() { return static_cast<int>(threadIdx.x); }
NAVIT_DEVICE int LaneIndex() { return ThreadIndex() & 31; }
NAVIT_DEVICE int WarpIndex() { return ThreadIndex() >> 5; }
NAVIT_DEVICE int64_t BlockIndex() { return blockIdx.x; }
NAVIT_DEVICE int64_t BlockCount() { return gridDim.x; }

// --- memory

template <typename T>
class Global {
 public:
  NAVIT_DEVICE Global() : pointer_(nullptr) {}
  NAVIT_DEVICE explicit Global(T* pointer) : pointer_(pointer) {}
  NAVIT_DEVICE explicit operator bool() const { return pointer_ != nullptr; }
  NAVIT_DEVICE Global operator+(int64_t i) const { return Global(pointer_ + i); }
  NAVIT_DEVICE T Load(int64_t i) const { return pointer_[i]; }
  NAVIT_DEVICE void Store(int64_t i, T value) const { pointer_[i] = value; }
  template <typename V>
  NAVIT_DEVICE V LoadAs(int64_t i) const {
    return *reinterpret_cast<const V*>(pointer_ + i);
  }
  template <typename V>
  NAVIT_DEVICE void StoreAs(int64_t i, const V& value) const {
    *reinterpret_cast<V*>(pointer_ + i) = value;
  }
  NAVIT_DEVICE T* raw() const { return pointer_; }  // for this file

 private:
  T* pointer_;
};

// An address inside the block's shared memory, in 32 bits: generic pointers would take twice the
// registers and arithmetic.
template <typename T>
class Shared {
 public:
  NAVIT_DEVICE Shared() : address_(0) {}
  NAVIT_DEVICE explicit Shared(uint32_t address) : address_(address) {}
  NAVIT_DEVICE Shared operator+(int64_t i) const {
    return Shared(address_ + static_cast<uint32_t>(i) * static_cast<uint32_t>(sizeof(T)));
  }
  NAVIT_DEVICE T Load(int64_t i) const { return *At<const T>(i); }
  NAVIT_DEVICE void Store(int64_t i, T value) const { *At<T>(i) = value; }
  template <typename V>
  NAVIT_DEVICE V LoadAs(int64_t i) const {
    return *At<const V>(i);
  }
  template <typename V>
  NAVIT_DEVICE void StoreAs(int64_t i, const V& value) const {
    *At<V>(i) = value;
  }
  NAVIT_DEVICE uint32_t address() const { return address_; }  // for this file

 private:
  template <typename V>
  NAVIT_DEVICE V* At(int64_t i) const {
    return static_cast<V*>(__cvta_shared_to_generic((*this + i).address_));
  }
  uint32_t address_;
};

template <typename T>
NAVIT_DEVICE Shared<T> SharedMemory(int64_t byte_offset, [[maybe_unused]] int64_t count) {
  extern __shared__ __align__(128) unsigned char navit_shared_memory[];
  return Shared<T>(static_cast<uint32_t>(__cvta_generic_to_shared(navit_shared_memory)) +
                   static_cast<uint32_t>(byte_offset));
}

// --- order

NAVIT_DEVICE void BlockBarrier() { __syncthreads(); }
NAVIT_DEVICE void WarpBarrier() { __syncwarp(); }

// --- warp

template <typename T>
NAVIT_DEVICE T ShuffleXor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
template <typename T>
NAVIT_DEVICE T ShuffleFrom(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}

// --- tensor

NAVIT_DEVICE void Mma16x8x16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

NAVIT_DEVICE void LoadMatrix4(uint32_t (&r)[4], Shared<Bf16> row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row.address())
               : "memory");
}

NAVIT_DEVICE void LoadMatrix4Transposed(uint32_t (&r)[4], Shared<Bf16> row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row.address())
               : "memory");
}

// --- copies

template <typename T>
NAVIT_DEVICE void CopyAsync16(Shared<T> to, Global<const T> from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(to.address()), "l"(__cvta_generic_to_global(from.raw())), "r"(valid ? 16 : 0)
               : "memory");
}
NAVIT_DEVICE void CopyAsyncCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
NAVIT_DEVICE void CopyAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// --- numbers

NAVIT_DEVICE float ToFloat(Bf16 value) {
  return __uint_as_float(static_cast<uint32_t>(value.bits) << 16);
}
NAVIT_DEVICE Bf16 ToBf16(float value) {
  Bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}
NAVIT_DEVICE uint32_t PackBf16(float low, float high) {
  uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}
NAVIT_DEVICE float UnpackLow(uint32_t pair) { return __uint_as_float(pair << 16); }
NAVIT_DEVICE float UnpackHigh(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

NAVIT_DEVICE float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
NAVIT_DEVICE float Log2(float x) { return __log2f(x); }
NAVIT_DEVICE float Reciprocal(float x) { return __frcp_rn(x); }
NAVIT_DEVICE float InverseSqrt(float x) { return rsqrtf(x); }
NAVIT_DEVICE float Exp(float x) { return expf(x); }
NAVIT_DEVICE float Log(float x) { return logf(x); }
NAVIT_DEVICE float Log1p(float x) { return log1pf(x); }
NAVIT_DEVICE float Sqrt(float x) { return sqrtf(x); }
NAVIT_DEVICE float Erf(float x) { return erff(x); }
NAVIT_DEVICE float Sin(float x) { return sinf(x); }
NAVIT_DEVICE float Cos(float x) { return cosf(x); }
NAVIT_DEVICE float Max(float a, float b) { return fmaxf(a, b); }
NAVIT_DEVICE float Min(float a, float b) { return fminf(a, b); }
NAVIT_DEVICE float Fma(float a, float b, float c) { return fmaf(a, b, c); }

// --- host

template <typename Kernel>
constexpr int MinBlocks() {
  if constexpr (requires { Kernel::kMinBlocks; }) return Kernel::kMinBlocks;
  return 1;
}

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, MinBlocks<Kernel>())
    KernelEntry(const __grid_constant__ typename Kernel::Args args) {
  Kernel::Run(args);
}

template <typename Kernel>
LaunchError Launch(const LaunchShape& shape, Stream stream, const typename Kernel::Args& args) {
  if (shape.blocks == 0) return {};
  if (shape.shared_bytes > 48 * 1024) {
    const cudaError_t error =
        cudaFuncSetAttribute(KernelEntry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shape.shared_bytes));
    if (error != cudaSuccess) return {error};
  }
  KernelEntry<Kernel><<<static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.threads),
                        static_cast<size_t>(shape.shared_bytes), stream>>>(args);
  return {cudaGetLastError()};
}

inline LaunchError FillZero(void* pointer, int64_t bytes, Stream stream) {
  if (bytes == 0) return {};
  return {cudaMemsetAsync(pointer, 0, static_cast<size_t>(bytes), stream)};
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_DEVICE_NVCC_H_
