// The workers that this incarnation of the coordinator knows: what they registered, what they last
// said, and whether they are alive. In memory: workers register again after a restart.
#ifndef NAVIT_SERVER_CORE_WORKER_TABLE_H_
#define NAVIT_SERVER_CORE_WORKER_TABLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/batches.pb.h"
#include "proto/fleet.pb.h"

namespace navit {

struct WorkerEntry {
  v1::RegisterRequest registration;
  v1::WorkerReport report;
  // Steady time of the last sign of life.
  double last_heard = 0;
  bool lost = false;
  // DurableState::drained_workers has its name.
  bool drained = false;
  // Trainers: the job whose gang it is in; empty: free.
  std::string job;
  // What DirectiveFor said last, without durable_step, and its version.
  std::string last_directive;
  uint64_t directive_version = 0;
  // Packers: the open Push stream (0: none), how many were opened, and what is to be sent on it.
  uint64_t push_stream = 0;
  uint64_t push_streams_opened = 0;
  std::map<uint64_t, std::vector<uint32_t>> grants;
  std::vector<uint64_t> released;
  // Payloads that it keeps for trainers and that nobody will fetch any more, by lease.
  std::map<uint64_t, std::vector<uint32_t>> drops;
  // Packers: since when packs that it was granted are to come and none came; negative: none are.
  double owes_since = -1;
  // Packers: since when it has no Push stream; negative: it has one, or had one at the last tick.
  double streamless_since = -1;

  const std::string& name() const { return registration.worker().name(); }
  uint64_t incarnation() const { return registration.worker().incarnation(); }
  v1::Role role() const { return registration.role(); }
  bool live() const { return !lost; }
  // The kind of trainer, as jobs name it.
  v1::TrainersSpec::Device device() const {
    const std::string& name = registration.device();
    return name.empty() || name == "cpu" ? v1::TrainersSpec::CPU : v1::TrainersSpec::CUDA;
  }
  // It ends by itself, or a person drains it.
  bool draining() const { return report.draining() || drained; }
};

class WorkerTable {
 public:
  // A new entry, or the existing one when this process is registered already (it is alive again).
  // UNAUTHENTICATED: a newer incarnation has the name. Sets *replaced when an older process of the
  // name was fenced by this call: its entry is gone.
  absl::Status Register(const v1::RegisterRequest& request, double now, bool* replaced);
  // The entry of exactly this process. NOT_FOUND: unknown, or lost meanwhile: register again.
  // UNAUTHENTICATED: another process has the name.
  absl::Status Check(const v1::WorkerId& worker, WorkerEntry** entry);
  // nullptr: unknown name.
  WorkerEntry* Find(absl::string_view name);
  const WorkerEntry* Find(absl::string_view name) const;

  std::map<std::string, WorkerEntry, std::less<>>& all() { return workers_; }
  const std::map<std::string, WorkerEntry, std::less<>>& all() const { return workers_; }
  std::vector<const WorkerEntry*> Live(v1::Role role) const;
  // Drops entries that were lost before `before`.
  void Forget(double before);

 private:
  std::map<std::string, WorkerEntry, std::less<>> workers_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_WORKER_TABLE_H_
