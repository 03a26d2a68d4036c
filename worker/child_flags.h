// What `navit-trainer --devices` means, and what each trainer that it starts is told.
#ifndef NAVIT_WORKER_CHILD_FLAGS_H_
#define NAVIT_WORKER_CHILD_FLAGS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/port_range.h"

namespace navit {

// The devices that `text` names: `all`, every GPU that `count_gpus` finds, or a list as
// "cuda:0,cuda:1" or "cpu,cpu". InvalidArgument: an entry is no device, or a GPU is named twice.
// Errors of `count_gpus` as they are.
absl::StatusOr<std::vector<std::string>> ParseDevices(
    absl::string_view text, const std::function<absl::StatusOr<int>()>& count_gpus);

// The launcher's own flags of which its trainers cannot share one value.
struct SharedFlags {
  std::string name;
  std::string listen_http;
  PortRange collective_ports;
  std::string port_file;
};

// The flags of the trainer on each of `devices`, to follow those of the launcher: the name and the
// port file with its number behind, counted from 0; the port of listen_http plus its number (0: the
// system chooses); an equal part of the collective ports. InvalidArgument names the flag whose
// ports do not suffice.
absl::StatusOr<std::vector<std::vector<std::string>>> ChildFlags(
    const SharedFlags& shared, const std::vector<std::string>& devices);

}  // namespace navit

#endif  // NAVIT_WORKER_CHILD_FLAGS_H_
