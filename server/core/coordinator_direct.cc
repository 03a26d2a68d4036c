// Direct delivery: payloads stay with the packers that made them, and the trainers that they are
// dealt to fetch them there. Everything else is as with the relay: grants, the ledger and its
// budget, deals, credits, commits. A pack that cannot be fetched is missing again and comes through
// the relay, so that a job never depends on whom its trainers reach.
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/coordinator_impl.h"

namespace navit {
namespace {

// The relay's rate is measured over so long.
constexpr double kRateSeconds = 5;

}  // namespace

bool Coordinator::Impl::MayStay(const JobState& job, const WorkerEntry& holder) const {
  const JobRuntime::Direct& direct = runtimes_.find(job.name())->second.direct;
  const std::string& address = holder.registration.packs_address();
  if (address.empty() || direct.given_up || direct.unreachable.count(address)) return false;
  const auto delivery = job.spec().workers().delivery();
  return delivery == v1::WorkersSpec::DIRECT ||
         (delivery == v1::WorkersSpec::AUTO && direct.chosen);
}

absl::Status Coordinator::Impl::OpenPull(const v1::PullRequest::Open& open, Instant) {
  NAVIT_RETURN_IF_ERROR(CheckPull(open));
  const JobState& job = *state_.Find(open.job());
  JobRuntime::Direct& direct = runtimes_[job.name()].direct;
  const size_t known = direct.unreachable.size();
  direct.unreachable.insert(open.failed_sources().begin(), open.failed_sources().end());
  const bool gives_up = !open.takes_sources() && !direct.given_up;
  direct.given_up = direct.given_up || gives_up;
  if (direct.unreachable.size() == known && !gives_up) return absl::OkStatus();
  for (const std::string& address : open.failed_sources()) {
    ++counters_.direct_fallbacks;
    Log(job.name(), absl::StrCat("trainer ", open.worker().name(), " cannot fetch packs from ",
                                 address, ": they come through the relay"));
  }
  for (const uint64_t epoch : leases_.OfJob(job.name())) {
    const WorkerEntry* holder = workers_.Find(leases_.Find(epoch)->holder);
    if (holder == nullptr || !MayStay(job, *holder)) ForgetDirect(job, epoch);
  }
  return absl::OkStatus();
}

void Coordinator::Impl::ForgetDirect(const JobState& job, uint64_t lease) {
  JobRuntime& runtime = runtimes_[job.name()];
  if (runtime.ledger == nullptr) return;
  const std::vector<uint64_t> forgotten = runtime.ledger->ForgetDirect(lease);
  if (forgotten.empty()) return;
  DropOrdinals(job, forgotten);
  runtime.grants_stale = true;
  Changed(job.name());
}

void Coordinator::Impl::DropAtPackers(const JobState& job, RelayLedger* ledger) {
  for (const RelayLedger::DirectPack& pack : ledger->TakeDroppedDirect()) {
    // With its lease a packer drops all packs of it.
    const Lease* lease = leases_.Find(pack.lease);
    WorkerEntry* holder = lease == nullptr ? nullptr : workers_.Find(lease->holder);
    if (holder == nullptr) continue;
    holder->drops[pack.lease].push_back(job.order().Locate(pack.ordinal).index);
  }
}

void Coordinator::Impl::CountRelayed(uint64_t bytes, Instant now) {
  relayed_bytes_ += bytes;
  const double seconds = now.steady - relayed_since_;
  if (seconds < kRateSeconds) return;
  const double rate = static_cast<double>(relayed_bytes_) / seconds;
  // After a pause the first pack begins a new measurement.
  const bool measured = seconds < 2 * kRateSeconds;
  relayed_bytes_ = 0;
  relayed_since_ = now.steady;
  if (!measured || rate <= options_.direct_above_bytes_per_second) return;
  for (const JobState* job : JobsInOrder()) {
    JobRuntime& runtime = runtimes_[job->name()];
    if (!runtime.open || runtime.direct.chosen ||
        job->spec().workers().delivery() != v1::WorkersSpec::AUTO) {
      continue;
    }
    runtime.direct.chosen = true;
    Log(job->name(), absl::StrCat("trainers fetch packs from packers: the relay carries ",
                                  static_cast<uint64_t>(rate), " bytes per second"));
  }
}

}  // namespace navit
