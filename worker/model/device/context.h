// Where a model's operations run on a GPU: a stream, the parameters, working memory, and the first
// error of all that was queued.
#ifndef NAVIT_WORKER_MODEL_DEVICE_CONTEXT_H_
#define NAVIT_WORKER_MODEL_DEVICE_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear.h"
#include "worker/device/device.h"

namespace navit {

// Used by one thread. After an error operations do nothing, so that the code of the model need not
// look at every launch; whoever waits for results asks status() first.
class DeviceContext {
 public:
  // `parameters` are the flat array in device memory, `weights` the same as bf16. Device, stream,
  // engine and arrays must outlive this object.
  DeviceContext(Device* device, DeviceStream stream, kernels::cuda::LinearEngine* engine,
                const float* parameters, const kernels::cuda::Bf16* weights)
      : device_(device),
        stream_(stream),
        engine_(engine),
        parameters_(parameters),
        weights_(weights) {}

  Device* device() const { return device_; }
  DeviceStream stream() const { return stream_; }
  kernels::cuda::LinearEngine* engine() const { return engine_; }

  // A parameter as bf16; null stays null.
  const kernels::cuda::Bf16* Weight(const float* parameter) const {
    return parameter == nullptr ? nullptr : weights_ + (parameter - parameters_);
  }

  // Device memory that the next operation may use; it grows to the largest need so far. Null after
  // an error.
  template <typename T>
  T* Scratch(int64_t count) {
    return static_cast<T*>(ScratchBytes(static_cast<size_t>(count) * sizeof(T)));
  }

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  // Keeps the first error.
  void Keep(const absl::Status& status);
  void Keep(absl::string_view operation, kernels::cuda::LaunchError error);
  // Launches a kernel on the context's stream, unless an error was kept before.
  template <typename Args>
  void Run(absl::string_view operation,
           kernels::cuda::LaunchError (*launch)(const Args&, kernels::cuda::Stream),
           const std::type_identity_t<Args>& args) {
    if (ok()) Keep(operation, launch(args, stream()));
  }

 private:
  void* ScratchBytes(size_t bytes);

  Device* const device_;
  const DeviceStream stream_;
  kernels::cuda::LinearEngine* const engine_;
  const float* const parameters_;
  const kernels::cuda::Bf16* const weights_;
  DeviceBuffer scratch_;
  absl::Status status_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_CONTEXT_H_
