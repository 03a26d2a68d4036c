// Memory that examples and packs reuse.
#ifndef NAVIT_PACKER_PACK_BUFFERS_H_
#define NAVIT_PACKER_PACK_BUFFERS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "packer/render.h"
#include "proto/pack.pb.h"

namespace navit {

struct PackBuffers {
  std::string caption;
  std::string ids;
  RenderBuffers image;
  v1::Pack pack;
};

// As many PackBuffers as there were ever calls at a time. Without them, most of what a pack costs
// beside its images is fresh memory, faulted in page by page. Thread-safe.
class PackBufferPool {
 public:
  std::unique_ptr<PackBuffers> Take() {
    absl::MutexLock lock(&mutex_);
    if (free_.empty()) return std::make_unique<PackBuffers>();
    std::unique_ptr<PackBuffers> buffers = std::move(free_.back());
    free_.pop_back();
    return buffers;
  }
  // Those that met an unusually large image are not kept.
  void Give(std::unique_ptr<PackBuffers> buffers) {
    size_t bytes = 0;
    for (const DecodedImage::Plane& plane : buffers->image.decoded.planes) {
      bytes += plane.samples.bytes.size();
    }
    if (bytes > kMostKeptBytes) return;
    absl::MutexLock lock(&mutex_);
    free_.push_back(std::move(buffers));
  }

 private:
  static constexpr size_t kMostKeptBytes = 32 << 20;

  absl::Mutex mutex_;
  std::vector<std::unique_ptr<PackBuffers>> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_PACKER_PACK_BUFFERS_H_
