#include "worker/device/cuda_device.h"

#include <cuda_runtime.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "worker/device/driver_version.h"

namespace navit {
namespace {

absl::Status ToStatus(absl::string_view call, cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  // CUDA keeps an error that it returned for cudaGetLastError too, where the next launch of a
  // kernel would take it for its own. One of queued work stays all the same.
  cudaGetLastError();
  const std::string text =
      absl::StrCat(call, ": ", cudaGetErrorName(error), ": ", cudaGetErrorString(error));
  return error == cudaErrorMemoryAllocation ? absl::ResourceExhaustedError(text)
                                            : absl::InternalError(text);
}

class CudaDevice : public Device {
 public:
  CudaDevice(int ordinal, std::string name) : ordinal_(ordinal), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  absl::Status MakeCurrent() override { return Enter(); }

  absl::StatusOr<void*> Allocate(size_t bytes) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    void* data = nullptr;
    absl::Status status = ToStatus("cudaMalloc", cudaMalloc(&data, bytes));
    if (absl::IsResourceExhausted(status)) return OutOfMemory(status, bytes);
    NAVIT_RETURN_IF_ERROR(status);
    return data;
  }
  // An error of either is that of work queued before, which the next call of another method shows.
  void Free(void* data) override {
    if (Enter().ok()) ToStatus("cudaFree", cudaFree(data)).IgnoreError();
  }
  void FreePinned(void* data) override {
    if (Enter().ok()) ToStatus("cudaFreeHost", cudaFreeHost(data)).IgnoreError();
  }
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    void* data = nullptr;
    NAVIT_RETURN_IF_ERROR(ToStatus("cudaMallocHost", cudaMallocHost(&data, bytes)));
    return data;
  }
  bool Owns(const void* data) const override {
    cudaPointerAttributes attributes;
    if (!Enter().ok()) return false;
    if (!ToStatus("cudaPointerGetAttributes", cudaPointerGetAttributes(&attributes, data)).ok()) {
      return false;
    }
    return attributes.type == cudaMemoryTypeDevice && attributes.device == ordinal_;
  }

  absl::StatusOr<DeviceStream> CreateStream() override {
    NAVIT_RETURN_IF_ERROR(Enter());
    DeviceStream stream = nullptr;
    // Independent of the default stream, which nothing here uses.
    NAVIT_RETURN_IF_ERROR(ToStatus("cudaStreamCreateWithFlags",
                                   cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)));
    return stream;
  }
  void DestroyStream(DeviceStream stream) override {
    if (Enter().ok()) ToStatus("cudaStreamDestroy", cudaStreamDestroy(stream)).IgnoreError();
  }

  // cudaMemcpyAsync treats memory that is not pinned as the interface asks for.
  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) override {
    if (bytes == 0) return absl::OkStatus();
    NAVIT_RETURN_IF_ERROR(Enter());
    return ToStatus("cudaMemcpyAsync", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
  }
  absl::Status FillZero(void* data, size_t bytes, DeviceStream stream) override {
    if (bytes == 0) return absl::OkStatus();
    NAVIT_RETURN_IF_ERROR(Enter());
    return ToStatus("cudaMemsetAsync", cudaMemsetAsync(data, 0, bytes, stream));
  }
  absl::Status CallOnHost(void (*function)(void*), void* argument, DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return ToStatus("cudaLaunchHostFunc", cudaLaunchHostFunc(stream, function, argument));
  }

  absl::StatusOr<DeviceEvent> CreateEvent() override {
    NAVIT_RETURN_IF_ERROR(Enter());
    DeviceEvent event = nullptr;
    NAVIT_RETURN_IF_ERROR(ToStatus("cudaEventCreateWithFlags",
                                   cudaEventCreateWithFlags(&event, cudaEventDisableTiming)));
    return event;
  }
  void DestroyEvent(DeviceEvent event) override {
    if (Enter().ok()) ToStatus("cudaEventDestroy", cudaEventDestroy(event)).IgnoreError();
  }
  absl::Status Record(DeviceEvent event, DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return ToStatus("cudaEventRecord", cudaEventRecord(event, stream));
  }
  absl::Status Wait(DeviceEvent event, DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return ToStatus("cudaStreamWaitEvent", cudaStreamWaitEvent(stream, event, 0));
  }
  absl::Status Await(DeviceEvent event) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return ToStatus("cudaEventSynchronize", cudaEventSynchronize(event));
  }

  absl::StatusOr<bool> Idle(DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    const cudaError_t error = cudaStreamQuery(stream);
    if (error == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    NAVIT_RETURN_IF_ERROR(ToStatus("cudaStreamQuery", error));
    return true;
  }
  absl::Status Synchronize(DeviceStream stream) override {
    NAVIT_RETURN_IF_ERROR(Enter());
    return ToStatus("cudaStreamSynchronize", cudaStreamSynchronize(stream));
  }

  absl::StatusOr<Memory> memory() const override {
    NAVIT_RETURN_IF_ERROR(Enter());
    Memory memory;
    NAVIT_RETURN_IF_ERROR(
        ToStatus("cudaMemGetInfo", cudaMemGetInfo(&memory.free_bytes, &memory.total_bytes)));
    return memory;
  }

 private:
  absl::Status Enter() const { return ToStatus("cudaSetDevice", cudaSetDevice(ordinal_)); }
  absl::Status OutOfMemory(const absl::Status& status, size_t bytes) const {
    const absl::StatusOr<Memory> now = memory();
    return absl::ResourceExhaustedError(absl::StrCat(
        status.message(), ", for ", bytes, " bytes on ", name_,
        now.ok() ? absl::StrCat(" with ", now->free_bytes, " free of ", now->total_bytes) : ""));
  }

  const int ordinal_;
  const std::string name_;
};

}  // namespace

absl::StatusOr<int> CountCudaDevices() {
  int driver = 0;
  NAVIT_RETURN_IF_ERROR(ToStatus("cudaDriverGetVersion", cudaDriverGetVersion(&driver)));
  NAVIT_RETURN_IF_ERROR(CheckDriverVersion(driver));
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted == cudaErrorNoDevice || (counted == cudaSuccess && count == 0)) {
    cudaGetLastError();
    return absl::NotFoundError("this machine has an NVIDIA driver, but no GPU that CUDA can see");
  }
  NAVIT_RETURN_IF_ERROR(ToStatus("cudaGetDeviceCount", counted));
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
      ToStatus("cudaGetDeviceProperties", cudaGetDeviceProperties(&properties, ordinal)));
  if (properties.major < 8) {
    return absl::FailedPreconditionError(
        absl::StrCat(properties.name, " has compute capability ", properties.major, ".",
                     properties.minor, "; this program has kernels for 8.0 and newer"));
  }
  auto device = std::make_unique<CudaDevice>(ordinal, properties.name);
  NAVIT_RETURN_IF_ERROR(device->MakeCurrent());
  return device;
}

}  // namespace navit
