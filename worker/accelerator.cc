#include "worker/accelerator.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace navit {

absl::StatusOr<std::optional<int>> ParseDevice(absl::string_view device) {
  if (device == "cpu") return std::nullopt;
  if (device == "cuda") return 0;
  int ordinal = -1;
  absl::string_view number = device;
  if (absl::ConsumePrefix(&number, "cuda:") && absl::SimpleAtoi(number, &ordinal) && ordinal >= 0) {
    return ordinal;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", device, "\" is not cpu, cuda or cuda:N with N from 0"));
}

absl::StatusOr<TrainStepOptions> OptionsOnDevice(const TrainStepOptions& options,
                                                 const ParameterTable& table,
                                                 const Device& device) {
  // Enough rows to fill the largest card's multiprocessors in every product of a layer.
  constexpr int64_t kMicroBatchTokens = 16384;
  // Parameters, two moments, average and gradients in fp32, and the weights in bf16.
  constexpr size_t kBytesPerParameter = 5 * 4 + 2;
  NAVIT_ASSIGN_OR_RETURN(const Device::Memory memory, device.memory());
  const size_t weights = table.total_size() * kBytesPerParameter;
  TrainStepOptions on_device = options;
  on_device.micro_batch_tokens = std::max(options.micro_batch_tokens, kMicroBatchTokens);
  on_device.activation_bytes =
      static_cast<int64_t>(memory.free_bytes - std::min(memory.free_bytes, weights)) / 2;
  return on_device;
}

}  // namespace navit
