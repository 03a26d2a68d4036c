// A float array whose start is aligned for SIMD and for a cache line.
#ifndef NAVIT_WORKER_MODEL_ALIGNED_BUFFER_H_
#define NAVIT_WORKER_MODEL_ALIGNED_BUFFER_H_

#include <cstddef>
#include <memory>

#include "absl/types/span.h"

namespace navit {

// Bytes to which buffers and the tensors in them are aligned.
inline constexpr size_t kTensorAlignment = 64;

// Owns `size` floats, zero at first, aligned to kTensorAlignment; large ones lie on huge pages where
// the system has them. Movable.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size);

  size_t size() const { return size_; }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  absl::Span<float> span() { return absl::MakeSpan(data_.get(), size_); }
  absl::Span<const float> span() const { return absl::MakeConstSpan(data_.get(), size_); }

 private:
  struct Free {
    size_t alignment;
    void operator()(float* data) const;
  };
  std::unique_ptr<float[], Free> data_;
  size_t size_ = 0;
};

// `count` floats rounded up to whole alignment units.
inline constexpr size_t AlignedFloats(size_t count) {
  constexpr size_t kUnit = kTensorAlignment / sizeof(float);
  return (count + kUnit - 1) / kUnit * kUnit;
}

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_ALIGNED_BUFFER_H_
