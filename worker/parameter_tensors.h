// A flat array of a parameter table as the tensors of a safetensors file, and back.
#ifndef NAVIT_WORKER_PARAMETER_TENSORS_H_
#define NAVIT_WORKER_PARAMETER_TENSORS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/model/aligned_buffer.h"
#include "worker/model/parameters.h"
#include "worker/safetensors.h"

namespace navit {

// Appends a view of every tensor, named `prefix` and its name; they live as long as `buffer`.
void AddTensors(const ParameterTable& table, const AlignedBuffer& buffer, const std::string& prefix,
                std::vector<TensorView>* views);

// Fills `buffer`, whose gaps become zero, from the tensors of those names. The errors of
// Safetensors::Find.
absl::Status CopyTensors(const ParameterTable& table, const Safetensors& file,
                         const std::string& prefix, AlignedBuffer* buffer);

}  // namespace navit

#endif  // NAVIT_WORKER_PARAMETER_TENSORS_H_
