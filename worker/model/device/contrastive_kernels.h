// Strips of the contrastive losses on a GPU.
#ifndef NAVIT_WORKER_MODEL_DEVICE_CONTRASTIVE_KERNELS_H_
#define NAVIT_WORKER_MODEL_DEVICE_CONTRASTIVE_KERNELS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "kernels/cuda/bf16.h"
#include "kernels/cuda/contrastive.h"
#include "worker/device/device.h"
#include "worker/model/arena.h"
#include "worker/model/contrastive_kernels.h"
#include "worker/model/device/context.h"

namespace navit {

// Each call copies its arrays to the device, x and y as bf16, and its results back: at most 6 bytes
// per element of x and y, for each of which the strip takes thousands of operations. The memory
// grows to the largest strip so far. Rows are padded with zeros to whole 16-byte units
// (padded_rows.h, kernels/cuda/), which changes no product. Errors are the context's.
class DeviceContrastiveKernels : public ContrastiveKernels {
 public:
  // `context` must outlive this object.
  explicit DeviceContrastiveKernels(DeviceContext* context) : context_(*context) {}

  absl::Status Stats(const kernels::ContrastiveStatsArgs& args) override;
  absl::Status Backward(const kernels::ContrastiveBackwardArgs& args) override;
  absl::Status Sigmoid(const kernels::SigmoidContrastiveArgs& args) override;

 private:
  // Calls `layout` to count the memory it takes, and again with it; then waits for what it queued.
  absl::Status Run(const std::function<void(Arena*)>& layout);
  // The array's place on the device, and the copy once there is one; null stays null.
  template <typename T>
  T* Put(const T* host, int64_t count, Arena* arena);
  // [rows, dim] with padding.
  kernels::cuda::Bf16* PutRounded(const float* host, int64_t rows, int64_t dim, Arena* arena);
  kernels::cuda::ContrastiveStrip Put(const kernels::ContrastiveStrip& strip, Arena* arena);
  template <typename T>
  void Get(const T* device, int64_t count, T* host);
  // The rows [rows, dim] of an array with padding, once Run has waited.
  void GetRows(const float* device, int64_t rows, int64_t dim, float* host);

  DeviceContext& context_;
  DeviceBuffer memory_;
  // ContrastiveStatsArgs::positive_part of the last Stats, for Backward.
  DeviceBuffer positive_part_;
  std::vector<kernels::cuda::Bf16> rounded_;
  // Results with padding, on their way to the host.
  struct PaddedRows {
    int64_t dim;
    float* host;
    std::vector<float> values;
  };
  std::vector<PaddedRows> padded_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_CONTRASTIVE_KERNELS_H_
