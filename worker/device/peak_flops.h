// What GPUs could compute at best, for the share of it that training uses.
#ifndef NAVIT_WORKER_DEVICE_PEAK_FLOPS_H_
#define NAVIT_WORKER_DEVICE_PEAK_FLOPS_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace navit {

// Operations per second of dense products in bf16 with fp32 sums, as NVIDIA's data sheets state
// them (without sparsity), for the device of that name (Device::name). None for a device that is
// not in the table, and for a part of one (MIG).
std::optional<double> DevicePeakFlops(absl::string_view device_name);

}  // namespace navit

#endif  // NAVIT_WORKER_DEVICE_PEAK_FLOPS_H_
