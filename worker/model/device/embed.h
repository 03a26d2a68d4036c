// Embedders on a GPU.
//
// Beside the weights an embedder has, while it is there, inputs, outputs and the activations of one
// block for the largest batch so far (ViT-B, 16,384 tokens: 0.6 GiB). These are in the half of the
// memory that a training step's activations leave free (OptionsOnDevice), so that a step's buffers
// need not be freed for an evaluation and taken again.
#ifndef NAVIT_WORKER_MODEL_DEVICE_EMBED_H_
#define NAVIT_WORKER_MODEL_DEVICE_EMBED_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "kernels/cuda/bf16.h"
#include "kernels/cuda/linear.h"
#include "worker/device/device.h"
#include "worker/model/embed.h"

namespace navit {

// `parameters`, the flat array on the host, is copied to the device, as fp32 and as bf16 for linear
// layers. `table`, `device` and `engine` must outlive the embedder. Unimplemented names the field
// of the model that has no kernel on a GPU yet. ResourceExhausted.
absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeDeviceEmbedder(
    const ParameterTable* table, const float* parameters, int64_t joined_tokens, Device* device,
    kernels::cuda::LinearEngine* engine);

// The same of a flat array that is on the device already, a training step's, so that no second copy
// is made; it must outlive the embedder, and what writes it must be done. `weights` is the same as
// bf16. Null, as of a moving average, which no step multiplies with: two bytes for each parameter
// are taken for it until the embedder is gone.
absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedderOf(const ParameterTable* table,
                                                             const float* parameters,
                                                             const kernels::cuda::Bf16* weights,
                                                             int64_t joined_tokens, Device* device,
                                                             kernels::cuda::LinearEngine* engine);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_EMBED_H_
