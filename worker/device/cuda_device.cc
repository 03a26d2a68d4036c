#include "worker/device/cuda_device.h"

#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/device/cuda_arena.h"
#include "worker/device/cuda_status.h"
#include "worker/device/driver_version.h"

namespace navit {
namespace {

class CudaDevice : public Device {
 public:
  CudaDevice(int ordinal, std::string name, std::unique_ptr<DeviceArena> arena)
      : ordinal_(ordinal), name_(std::move(name)), arena_(std::move(arena)) {}

  const std::string& name() const override { return name_; }
  absl::Status MakeCurrent() override { return Enter(); }

  DeviceArena* arena() override { return arena_.get(); }
  // An error is that of work queued before, which the next call of another method shows.
  void FreePinned(void* data) override {
    if (Enter().ok()) CudaStatus("cudaFreeHost", cudaFreeHost(data)).IgnoreError();
  }
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    void* data = nullptr;
    NAVIT_RETURN_IF_ERROR(CudaStatus("cudaMallocHost", cudaMallocHost(&data, bytes)));
    return data;
  }
  bool Owns(const void* data) const override {
    cudaPointerAttributes attributes;
    if (!Enter().ok()) return false;
    if (!CudaStatus("cudaPointerGetAttributes", cudaPointerGetAttributes(&attributes, data)).ok()) {
      return false;
    }
    return attributes.type == cudaMemoryTypeDevice && attributes.device == ordinal_;
  }

  absl::StatusOr<DeviceStream> CreateStream() override {
    NAVIT_RETURN_IF_ERROR(Enter());
    DeviceStream stream = nullptr;
    // Independent of the default stream, which nothing here uses.
    NAVIT_RETURN_IF_ERROR(CudaStatus("cudaStreamCreateWithFlags",
                                     cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)));
    return stream;
  }
  void DestroyStream(DeviceStream stream) override {
    if (Enter().ok()) CudaStatus("cudaStreamDestroy", cudaStreamDestroy(stream)).IgnoreError();
  }

  // cudaMemcpyAsync treats memory that is not pinned as the interface asks for.
  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) override {
    if (bytes == 0) return absl::OkStatus();
    NAVIT_RETURN_IF_ERROR(Enter());
    return CudaStatus("cudaMemcpyAsync",
                      cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
  }
  absl::Status FillZero(void* data, size_t bytes, DeviceStream stream) override {
    if (bytes == 0) return absl::OkStatus();
    NAVIT_RETURN_IF_ERROR(Enter());
    return CudaStatus("cudaMemsetAsync", cudaMemsetAsync(data, 0, bytes, stream));
  }
  absl::Status CallOnHost(void (*function)(void*), void* argument, DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return CudaStatus("cudaLaunchHostFunc", cudaLaunchHostFunc(stream, function, argument));
  }

  absl::StatusOr<DeviceEvent> CreateEvent() override {
    NAVIT_RETURN_IF_ERROR(Enter());
    DeviceEvent event = nullptr;
    NAVIT_RETURN_IF_ERROR(CudaStatus("cudaEventCreateWithFlags",
                                     cudaEventCreateWithFlags(&event, cudaEventDisableTiming)));
    return event;
  }
  void DestroyEvent(DeviceEvent event) override {
    if (Enter().ok()) CudaStatus("cudaEventDestroy", cudaEventDestroy(event)).IgnoreError();
  }
  absl::Status Record(DeviceEvent event, DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return CudaStatus("cudaEventRecord", cudaEventRecord(event, stream));
  }
  absl::Status Wait(DeviceEvent event, DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return CudaStatus("cudaStreamWaitEvent", cudaStreamWaitEvent(stream, event, 0));
  }
  absl::Status Await(DeviceEvent event) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return CudaStatus("cudaEventSynchronize", cudaEventSynchronize(event));
  }

  absl::StatusOr<bool> Idle(DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    const cudaError_t error = cudaStreamQuery(stream);
    if (error == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    NAVIT_RETURN_IF_ERROR(CudaStatus("cudaStreamQuery", error));
    return true;
  }
  absl::Status Synchronize(DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return CudaStatus("cudaStreamSynchronize", cudaStreamSynchronize(stream));
  }

  absl::StatusOr<Memory> memory() const override { return arena_->memory(); }

 private:
  absl::Status Enter() const { return CudaStatus("cudaSetDevice", cudaSetDevice(ordinal_)); }

  const int ordinal_;
  const std::string name_;
  const std::unique_ptr<DeviceArena> arena_;
};

}  // namespace

absl::StatusOr<int> CountCudaDevices() {
  int driver = 0;
  NAVIT_RETURN_IF_ERROR(CudaStatus("cudaDriverGetVersion", cudaDriverGetVersion(&driver)));
  NAVIT_RETURN_IF_ERROR(CheckDriverVersion(driver));
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted == cudaErrorNoDevice || (counted == cudaSuccess && count == 0)) {
    cudaGetLastError();
    return absl::NotFoundError("this machine has an NVIDIA driver, but no GPU that CUDA can see");
  }
  NAVIT_RETURN_IF_ERROR(CudaStatus("cudaGetDeviceCount", counted));
  return count;
}

absl::StatusOr<std::unique_ptr<Device>> OpenCudaDevice(int ordinal) {
  NAVIT_ASSIGN_OR_RETURN(const int count, CountCudaDevices());
  if (ordinal < 0 || ordinal >= count) {
    return absl::NotFoundError(
        absl::StrCat("there is no GPU ", ordinal, ": CUDA sees ", count, ", counted from 0"));
  }
  cudaDeviceProp properties;
  NAVIT_RETURN_IF_ERROR(
      CudaStatus("cudaGetDeviceProperties", cudaGetDeviceProperties(&properties, ordinal)));
  if (properties.major < 8) {
    return absl::FailedPreconditionError(
        absl::StrCat(properties.name, " has compute capability ", properties.major, ".",
                     properties.minor, "; this program has kernels for 8.0 and newer"));
  }
  NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<CudaArena> arena,
                         CudaArena::Make(ordinal, properties.name));
  auto device = std::make_unique<CudaDevice>(ordinal, properties.name, std::move(arena));
  NAVIT_RETURN_IF_ERROR(device->MakeCurrent());
  return device;
}

}  // namespace navit
