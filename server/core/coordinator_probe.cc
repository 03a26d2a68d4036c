// Probes: what a spec does with its data, asked by people, found out by a packer. In memory; they
// go with who asked.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {
namespace {

// Each may hold a picture.
constexpr size_t kMostProbes = 8;
// A probe that ends its packers is not to go through all of them.
constexpr uint32_t kMostLeases = 2;

constexpr uint32_t kDefaultRows = 8;
constexpr uint32_t kMostRows = 32;

bool Makes(const WorkerEntry& packer, uint32_t plan_version) {
  const auto& versions = packer.registration.plan_versions();
  return versions.empty() ||
         std::find(versions.begin(), versions.end(), plan_version) != versions.end();
}

}  // namespace

absl::StatusOr<uint64_t> Coordinator::Impl::StartPreview(const v1::PreviewRequest& request) {
  v1::Probe work;
  if (request.has_spec()) {
    *work.mutable_spec() = request.spec();
  } else {
    const JobState* job = state_.Find(request.job());
    if (job == nullptr) return absl::NotFoundError(absl::StrCat("no job ", request.job()));
    *work.mutable_spec() = job->spec();
    if (job->manifest() != nullptr) work.set_manifest_hash(job->manifest_hash());
  }
  if (request.rows() > kMostRows) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows: must be at most ", kMostRows, ", is ", request.rows()));
  }
  work.mutable_preview()->set_window(request.window());
  work.mutable_preview()->set_rows(request.rows() == 0 ? kDefaultRows : request.rows());
  return StartProbe(std::move(work));
}

absl::StatusOr<uint64_t> Coordinator::Impl::StartForecast(const v1::JobSpec& spec) {
  v1::Probe work;
  *work.mutable_spec() = spec;
  work.mutable_forecast();
  return StartProbe(std::move(work));
}

absl::StatusOr<uint64_t> Coordinator::Impl::StartProbe(v1::Probe work) {
  NAVIT_RETURN_IF_ERROR(CheckHealthy());
  const uint32_t version = work.spec().packing().plan_version();
  const std::vector<const WorkerEntry*> packers = workers_.Live(v1::PACKER);
  if (packers.empty()) {
    return absl::UnavailableError(
        "no packer is connected, and only a packer can look at the data; start navit-packer");
  }
  if (std::none_of(packers.begin(), packers.end(),
                   [&](const WorkerEntry* packer) { return Makes(*packer, version); })) {
    return absl::UnavailableError(
        absl::StrCat("no packer that is connected makes packing.plan_version ", version));
  }
  if (probes_.size() >= kMostProbes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(probes_.size(), " previews and forecasts are under way; try again"));
  }
  const uint64_t number = next_probe_++;
  probes_[number].work = std::move(work);
  Changed();
  return number;
}

std::optional<absl::StatusOr<v1::ProbeResult>> Coordinator::Impl::ProbeResult(uint64_t number) {
  auto it = probes_.find(number);
  if (it == probes_.end()) {
    return absl::StatusOr<v1::ProbeResult>(absl::NotFoundError("no such probe"));
  }
  std::optional<absl::StatusOr<v1::ProbeResult>> result = std::move(it->second.result);
  if (!result.has_value() && workers_.Live(v1::PACKER).empty()) {
    result = absl::UnavailableError("the last packer has gone; start navit-packer");
  }
  if (result.has_value()) DropProbe(number);
  return result;
}

void Coordinator::Impl::DropProbe(uint64_t number) {
  if (probes_.erase(number) == 0) return;
  WorkItem item;
  item.kind = WorkKind::kProbe;
  item.id = number;
  if (const Lease* lease = leases_.FindItem(item); lease != nullptr) ReleaseLease(lease->epoch);
}

bool Coordinator::Impl::LeaseProbe(const WorkerEntry& worker, Instant now, v1::Work* work) {
  WorkItem item;
  item.kind = WorkKind::kProbe;
  for (auto& [number, probe] : probes_) {
    item.id = number;
    const v1::JobSpec& spec = probe.work.spec();
    if (probe.result.has_value() || leases_.FindItem(item) != nullptr ||
        !Makes(worker, spec.packing().plan_version())) {
      continue;
    }
    if (probe.leases++ == kMostLeases) {
      probe.result = absl::UnavailableError(
          absl::StrCat(kMostLeases, " packers took it up and were lost; see their logs"));
      Changed();
      continue;
    }
    const double ttl =
        std::max(spec.timeouts().lease_seconds(), 2 * options_.heartbeat_interval_seconds);
    work->set_lease_epoch(leases_.Grant(item, worker.name(), ttl, now.steady).epoch);
    ++counters_.leases_granted;
    work->set_ttl_seconds(ttl);
    *work->mutable_probe() = probe.work;
    return true;
  }
  return false;
}

absl::Status Coordinator::Impl::FinishProbe(const Lease& lease,
                                            const v1::FinishWorkRequest& request) {
  if (!request.has_failure() && !request.has_probed()) {
    return absl::InvalidArgumentError("probed: must be present");
  }
  auto probe = probes_.find(lease.item.id);
  if (probe != probes_.end()) {
    if (request.has_probed()) {
      probe->second.result = request.probed();
    } else {
      const v1::WorkFailure& failure = request.failure();
      probe->second.result = failure.fatal()
                                 ? absl::InvalidArgumentError(failure.message())
                                 : absl::UnavailableError(absl::StrCat("packer ", lease.holder,
                                                                       ": ", failure.message()));
    }
  }
  const uint64_t epoch = lease.epoch;
  ReleaseLease(epoch);
  finished_leases_.push_back(epoch);
  if (finished_leases_.size() > 4096) finished_leases_.pop_front();
  return absl::OkStatus();
}

}  // namespace navit
