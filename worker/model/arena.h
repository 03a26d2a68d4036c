// Hands out aligned pieces of one buffer.
#ifndef NAVIT_WORKER_MODEL_ARENA_H_
#define NAVIT_WORKER_MODEL_ARENA_H_

#include <cstddef>
#include <cstdint>

#include "worker/model/aligned_buffer.h"

namespace navit {

// A layout is a function that takes its tensors from an Arena in order. It runs twice: over a
// default-constructed Arena, which gives null pointers and only counts, and then over the buffer of
// the size that it counted.
class Arena {
 public:
  Arena() = default;
  // `base` has at least used() floats of the counting run.
  explicit Arena(float* base) : base_(base) {}

  // `count` elements, uninitialised.
  template <typename T = float>
  T* Take(int64_t count) {
    T* piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    used_ += AlignedFloats((bytes + sizeof(float) - 1) / sizeof(float));
    return piece;
  }

  // Whether tensors have their places; false while counting.
  bool placed() const { return base_ != nullptr; }

  // In floats.
  size_t used() const { return used_; }

 private:
  float* base_ = nullptr;
  size_t used_ = 0;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_ARENA_H_
