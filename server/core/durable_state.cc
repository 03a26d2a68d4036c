#include "server/core/durable_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace navit {

absl::Status DurableState::Apply(const v1::Event& event) {
  if (event.kind_case() == v1::Event::kCoordinatorStarted) {
    const uint64_t incarnation = event.coordinator_started().incarnation();
    if (incarnation <= incarnation_) {
      return absl::InternalError(
          absl::StrCat("incarnation ", incarnation, " after incarnation ", incarnation_));
    }
    incarnation_ = incarnation;
    return absl::OkStatus();
  }
  auto it = jobs_.find(event.job());
  if (event.kind_case() == v1::Event::kWorkerDrained) {
    const v1::WorkerDrained& drained = event.worker_drained();
    if (drained.drained()) {
      drained_workers_.insert(drained.name());
    } else {
      drained_workers_.erase(drained.name());
    }
    return absl::OkStatus();
  }
  if (event.kind_case() == v1::Event::kJobSubmitted) {
    if (it != jobs_.end()) return absl::InternalError(absl::StrCat("job ", event.job(), " twice"));
    jobs_.emplace(event.job(), std::make_unique<JobState>(event, last_generation_[event.job()]));
    return absl::OkStatus();
  }
  if (event.kind_case() == v1::Event::kJobDeleted) {
    // A store may have dropped the events of a deleted job, but not its deletion.
    uint64_t& last = last_generation_[event.job()];
    last = std::max(last, event.job_deleted().generation());
    if (it != jobs_.end()) {
      last = std::max(last, it->second->generation());
      jobs_.erase(it);
    }
    if (!event.job_deleted().request_id().empty()) {
      deletions_.insert(event.job_deleted().request_id());
    }
    return absl::OkStatus();
  }
  if (it == jobs_.end()) {
    return absl::InternalError(absl::StrCat("event for the unknown job ", event.job()));
  }
  return it->second->Apply(event);
}

const JobState* DurableState::Find(absl::string_view name) const {
  auto it = jobs_.find(name);
  return it == jobs_.end() ? nullptr : it->second.get();
}

}  // namespace navit
