#include "worker/device/peak_flops.h"

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace navit {
namespace {

struct Peak {
  // The first words of the name, after "NVIDIA".
  absl::string_view words;
  double teraflops;
};

// Of two that fit, the first.
constexpr Peak kPeaks[] = {
    {"GB200", 2500},    {"B200", 2250},     {"GH200", 989.4},    {"H200 NVL", 835.5},
    {"H200", 989.4},    {"H100 PCIe", 756}, {"H100 NVL", 835.5}, {"H100 80GB HBM3", 989.4},
    {"H800 PCIe", 756}, {"H800", 989.4},    {"H20", 148},        {"A100", 312},
    {"A800", 312},      {"A40", 149.7},     {"A30", 165},        {"A10", 125},
    {"L40S", 362.05},   {"L40", 181.05},    {"L4", 121},
};

}  // namespace

std::optional<double> DevicePeakFlops(absl::string_view device_name) {
  if (absl::StrContains(device_name, " MIG ")) return std::nullopt;
  for (const Peak& peak : kPeaks) {
    absl::string_view rest = absl::StripPrefix(device_name, "NVIDIA ");
    if (!absl::ConsumePrefix(&rest, peak.words)) continue;
    // Whole words only: L40 is no L4.
    if (rest.empty() || rest[0] == ' ' || rest[0] == '-') return peak.teraflops * 1e12;
  }
  return std::nullopt;
}

}  // namespace navit
