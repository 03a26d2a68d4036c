#include "kernels/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace navit::kernels {
namespace {

constexpr size_t kAlignment = 128;

struct Free {
  void operator()(float* buffer) const { std::free(buffer); }
};

struct Buffer {
  std::unique_ptr<float, Free> data;
  size_t floats = 0;
};

}  // namespace

float* Scratch(ScratchUse use, size_t floats) {
  thread_local Buffer buffers[static_cast<size_t>(ScratchUse::kCount)];
  Buffer& buffer = buffers[static_cast<size_t>(use)];
  if (buffer.data == nullptr || buffer.floats < floats) {
    const size_t bytes = (floats * sizeof(float) + kAlignment) / kAlignment * kAlignment;
    buffer.data.reset();
    buffer.data.reset(static_cast<float*>(std::aligned_alloc(kAlignment, bytes)));
    if (buffer.data == nullptr) throw std::bad_alloc();
    buffer.floats = floats;
  }
  return buffer.data.get();
}

}  // namespace navit::kernels
