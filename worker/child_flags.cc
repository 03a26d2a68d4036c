#include "worker/child_flags.h"

#include <optional>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "worker/accelerator.h"

namespace navit {
namespace {

constexpr int kLastPort = 65535;

// The HTTP addresses of `count` trainers.
absl::StatusOr<std::vector<std::string>> HttpAddresses(const SharedFlags& shared, int count) {
  const size_t colon = shared.listen_http.rfind(':');
  int first = 0;
  if (colon == std::string::npos ||
      !absl::SimpleAtoi(shared.listen_http.substr(colon + 1), &first) || first < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen_http: `", shared.listen_http, "` is not host:port"));
  }
  const int last = first + count - 1;
  if (last > kLastPort) {
    return absl::InvalidArgumentError(absl::StrCat("--listen_http: ", count,
                                                   " trainers have no ports from ", first,
                                                   " on: the last is ", kLastPort));
  }
  const PortRange& others = shared.collective_ports;
  if (first != 0 && others.fixed() && first <= others.last && last >= others.first) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen_http: ", count, " trainers take the ports ", first, "-", last,
                     ", of which some are in --collective_ports, ", others.ToString()));
  }
  std::vector<std::string> addresses;
  for (int i = 0; i < count; ++i) {
    addresses.push_back(
        absl::StrCat(shared.listen_http.substr(0, colon), ":", first == 0 ? 0 : first + i));
  }
  return addresses;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseDevices(
    absl::string_view text, const std::function<absl::StatusOr<int>()>& count_gpus) {
  std::vector<std::string> devices;
  if (text == "all") {
    NAVIT_ASSIGN_OR_RETURN(const int count, count_gpus());
    for (int i = 0; i < count; ++i) devices.push_back(absl::StrCat("cuda:", i));
    return devices;
  }
  std::set<int> gpus;
  for (const absl::string_view device : absl::StrSplit(text, ',')) {
    NAVIT_ASSIGN_OR_RETURN(const std::optional<int> gpu, ParseDevice(device));
    if (gpu.has_value() && !gpus.insert(*gpu).second) {
      return absl::InvalidArgumentError(absl::StrCat("GPU ", *gpu, " is named twice"));
    }
    devices.emplace_back(device);
  }
  return devices;
}

absl::StatusOr<std::vector<std::vector<std::string>>> ChildFlags(
    const SharedFlags& shared, const std::vector<std::string>& devices) {
  const int count = static_cast<int>(devices.size());
  NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> http, HttpAddresses(shared, count));
  const PortRange& ports = shared.collective_ports;
  const int part = (ports.last - ports.first + 1) / count;
  if (ports.fixed() && part == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--collective_ports: ", ports.ToString(), " has no port for each of ", count, " trainers"));
  }
  std::vector<std::vector<std::string>> flags;
  for (int i = 0; i < count; ++i) {
    std::vector<std::string>& of_child = flags.emplace_back();
    of_child = {"--devices=", absl::StrCat("--device=", devices[i]),
                absl::StrCat("--name=", shared.name, "-", i),
                absl::StrCat("--listen_http=", http[i])};
    if (ports.fixed()) {
      const PortRange own{ports.first + i * part, ports.first + (i + 1) * part - 1};
      of_child.push_back(absl::StrCat("--collective_ports=", own.ToString()));
    }
    if (!shared.port_file.empty()) {
      of_child.push_back(absl::StrCat("--port_file=", shared.port_file, ".", i));
    }
  }
  return flags;
}

}  // namespace navit
