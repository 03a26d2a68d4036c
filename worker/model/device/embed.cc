#include "worker/model/device/embed.h"

#include <utility>

#include "common/status_macros.h"
#include "worker/model/device/forward.h"
#include "worker/model/device/supported.h"
#include "worker/model/device/towers.h"
#include "worker/model/embed-inl.h"

namespace navit {
namespace {

using kernels::cuda::Bf16;
using kernels::cuda::LinearEngine;

// A forward machine with what of its weights is its own.
class OwningForward : public DeviceForward {
 public:
  OwningForward(DeviceForward forward, DeviceBuffer parameters, DeviceBuffer weights)
      : DeviceForward(std::move(forward)),
        parameters_(std::move(parameters)),
        weights_(std::move(weights)) {}
  OwningForward(OwningForward&&) = default;
  ~OwningForward() { Drain(); }

 private:
  DeviceBuffer parameters_, weights_;
};

// `own` is empty or holds `parameters`.
absl::StatusOr<std::unique_ptr<PackEmbedder>> Make(const ParameterTable* table, DeviceBuffer own,
                                                   const float* parameters, const Bf16* weights,
                                                   int64_t joined_tokens, Device* device,
                                                   LinearEngine* engine) {
  const size_t size = table->total_size();
  DeviceBuffer own_weights;
  if (weights == nullptr) {
    NAVIT_ASSIGN_OR_RETURN(own_weights, DeviceBuffer::Make(device, size * sizeof(Bf16)));
    weights = static_cast<Bf16*>(own_weights.data());
  }
  NAVIT_ASSIGN_OR_RETURN(DeviceForward forward,
                         DeviceForward::Make(table->config(), device, engine, parameters, weights));
  if (own_weights.data() != nullptr) {
    DeviceOps::ToValues(static_cast<int64_t>(size), parameters,
                        static_cast<Bf16*>(own_weights.data()), forward.context());
    NAVIT_RETURN_IF_ERROR(forward.Finish());
  }
  return std::make_unique<EmbedderOn<OwningForward>>(
      table, joined_tokens,
      OwningForward(std::move(forward), std::move(own), std::move(own_weights)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeDeviceEmbedder(const ParameterTable* table,
                                                                 const float* parameters,
                                                                 int64_t joined_tokens,
                                                                 Device* device,
                                                                 LinearEngine* engine) {
  NAVIT_RETURN_IF_ERROR(CheckDeviceModel(table->config()));
  const size_t bytes = table->total_size() * sizeof(float);
  NAVIT_ASSIGN_OR_RETURN(DeviceBuffer copy, DeviceBuffer::Make(device, bytes));
  NAVIT_ASSIGN_OR_RETURN(const OwnedStream stream, OwnedStream::Make(device));
  NAVIT_RETURN_IF_ERROR(device->Copy(copy.data(), parameters, bytes, stream.get()));
  NAVIT_RETURN_IF_ERROR(device->Synchronize(stream.get()));
  const float* const on_device = static_cast<float*>(copy.data());
  return Make(table, std::move(copy), on_device, nullptr, joined_tokens, device, engine);
}

absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedderOf(const ParameterTable* table,
                                                             const float* parameters,
                                                             const Bf16* weights,
                                                             int64_t joined_tokens, Device* device,
                                                             LinearEngine* engine) {
  return Make(table, DeviceBuffer(), parameters, weights, joined_tokens, device, engine);
}

}  // namespace navit
