// The 16-bit storage type of activations on a GPU: the upper half of an IEEE float.
#ifndef NAVIT_KERNELS_CUDA_BF16_H_
#define NAVIT_KERNELS_CUDA_BF16_H_

#include <bit>
#include <cstdint>

namespace navit::kernels::cuda {

// bfloat16: sign, 8 bits of exponent, 7 of fraction.
struct Bf16 {
  uint16_t bits;
};

// On the host; kernels use the conversions of device.h.
inline float Bf16ToFloat(Bf16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

// To the nearest, ties to even. NaN stays NaN.
inline Bf16 FloatToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_BF16_H_
