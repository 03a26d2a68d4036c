// Who computes a strip of the contrastive losses: threads of the CPU, or a GPU
// (device/contrastive_kernels.h).
#ifndef NAVIT_WORKER_MODEL_CONTRASTIVE_KERNELS_H_
#define NAVIT_WORKER_MODEL_CONTRASTIVE_KERNELS_H_

#include "absl/status/status.h"
#include "kernels/contrastive.h"
#include "kernels/sigmoid_contrastive.h"
#include "kernels/thread_pool.h"

namespace navit {

// The operations of those headers on arrays of the host, done when a call returns. Of one thread.
// `max` of Stats may be any number not below the maximum that keeps the sums apart from 0: merges
// over ranks need no more.
class ContrastiveKernels {
 public:
  virtual ~ContrastiveKernels() = default;
  virtual absl::Status Stats(const kernels::ContrastiveStatsArgs& args) = 0;
  // After Stats of the same strip.
  virtual absl::Status Backward(const kernels::ContrastiveBackwardArgs& args) = 0;
  virtual absl::Status Sigmoid(const kernels::SigmoidContrastiveArgs& args) = 0;
};

class CpuContrastiveKernels : public ContrastiveKernels {
 public:
  // `pool` must outlive this object.
  explicit CpuContrastiveKernels(kernels::ThreadPool* pool) : pool_(*pool) {}

  absl::Status Stats(const kernels::ContrastiveStatsArgs& args) override {
    kernels::ContrastiveStats(args, pool_);
    return absl::OkStatus();
  }
  absl::Status Backward(const kernels::ContrastiveBackwardArgs& args) override {
    kernels::ContrastiveBackward(args, pool_);
    return absl::OkStatus();
  }
  absl::Status Sigmoid(const kernels::SigmoidContrastiveArgs& args) override {
    kernels::SigmoidContrastive(args, pool_);
    return absl::OkStatus();
  }

 private:
  kernels::ThreadPool& pool_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CONTRASTIVE_KERNELS_H_
