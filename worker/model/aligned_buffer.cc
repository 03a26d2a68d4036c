#include "worker/model/aligned_buffer.h"

#include <algorithm>
#include <new>

namespace navit {

AlignedBuffer::AlignedBuffer(size_t size)
    : data_(static_cast<float*>(
          ::operator new(size * sizeof(float), std::align_val_t(kTensorAlignment)))),
      size_(size) {
  std::fill_n(data_.get(), size, 0.0f);
}

void AlignedBuffer::Free::operator()(float* data) const {
  ::operator delete(data, std::align_val_t(kTensorAlignment));
}

}  // namespace navit
