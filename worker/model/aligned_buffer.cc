#include "worker/model/aligned_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace navit {
namespace {

// Of x86-64 and, with pages of 4 KiB, of AArch64.
constexpr size_t kHugePage = size_t{2} << 20;

// Small buffers would waste most of a huge page.
constexpr size_t Alignment(size_t bytes) {
  return bytes < kHugePage ? kTensorAlignment : kHugePage;
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t size) : size_(size) {
  const size_t bytes = size * sizeof(float), alignment = Alignment(bytes);
  void* const data = ::operator new(bytes, std::align_val_t(alignment));
  data_ = std::unique_ptr<float[], Free>(static_cast<float*>(data), Free{alignment});
  // Rows of a matrix lie on pages of their own, more of them than the processor keeps addresses
  // of. A kernel without huge pages refuses; nothing depends on them.
  if (alignment == kHugePage) madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  std::fill_n(data_.get(), size, 0.0f);
}

void AlignedBuffer::Free::operator()(float* data) const {
  ::operator delete(data, std::align_val_t(alignment));
}

}  // namespace navit
