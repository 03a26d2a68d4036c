// All durable state of the coordinator: its jobs and its incarnation, made by events alone.
#ifndef NAVIT_SERVER_CORE_DURABLE_STATE_H_
#define NAVIT_SERVER_CORE_DURABLE_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/events.pb.h"
#include "server/core/job_state.h"

namespace navit {

class DurableState {
 public:
  // INTERNAL: the event does not fit; the state is unchanged.
  absl::Status Apply(const v1::Event& event);

  // 0 before the first CoordinatorStarted.
  uint64_t incarnation() const { return incarnation_; }
  // nullptr: no such job.
  const JobState* Find(absl::string_view name) const;
  const std::map<std::string, std::unique_ptr<JobState>, std::less<>>& jobs() const {
    return jobs_;
  }
  // Names of workers that get no work.
  const std::set<std::string>& drained_workers() const { return drained_workers_; }
  // A Delete of this request_id has been carried out.
  bool WasDeleted(const std::string& request_id) const { return deletions_.count(request_id) > 0; }

 private:
  uint64_t incarnation_ = 0;
  std::map<std::string, std::unique_ptr<JobState>, std::less<>> jobs_;
  std::set<std::string> deletions_;
  std::set<std::string> drained_workers_;
  // By job name: the newest generation of its deleted jobs.
  std::map<std::string, uint64_t> last_generation_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_DURABLE_STATE_H_
