#include "packer/agent/work_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "packer/agent/forecast.h"
#include "packer/agent/preview.h"
#include "packer/agent/shard_sample.h"

namespace navit {
namespace {

// Samples that a probe looks at, in windows.
constexpr uint64_t kProbeWindows = 16;

}  // namespace

absl::Status RetryRead(const DataRetryOptions& options, const Clock& clock, StopFlag* stop,
                       PackerMetrics* metrics, const std::function<absl::Status()>& read) {
  Backoff backoff(options.backoff, SystemUniform(), clock.SteadyNow() + options.give_up_after);
  while (true) {
    const absl::Status status = read();
    if (!IsTransient(status)) return status;
    const std::optional<absl::Duration> delay = backoff.Next(clock.SteadyNow());
    if (!delay) return status;
    NAVIT_LOG(WARNING) << "read failed, again in " << *delay << ": " << status;
    metrics->SourceRetry(absl::StatusCodeToString(status.code()));
    metrics->BlockedSource(absl::ToDoubleSeconds(*delay));
    if (!stop->SleepFor(*delay)) return status;
  }
}

v1::WorkFailure FailureOf(const absl::Status& status) {
  v1::WorkFailure failure;
  failure.set_message(std::string(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
      failure.set_fatal(true);
      break;
    default:
      break;
  }
  return failure;
}

WorkRunner::WorkRunner(DataPlane* data, JobTable* jobs, PackerMetrics* metrics, const Clock* clock,
                       StopFlag* stop, DataRetryOptions retry)
    : data_(data),
      jobs_(jobs),
      metrics_(metrics),
      clock_(clock),
      stop_(stop),
      retry_(std::move(retry)) {}

WorkRunner::Outcome WorkRunner::Run(const v1::Work& work) {
  Outcome outcome;
  absl::Status status;
  switch (work.kind_case()) {
    case v1::Work::kExpandShards:
      status = RunExpand(work.expand_shards(), &outcome);
      break;
    case v1::Work::kIndexShard:
      status = RunIndex(work.index_shard(), &outcome);
      break;
    case v1::Work::kWindow:
      status = RunWindow(work.window(), &outcome);
      break;
    case v1::Work::kAudit:
      status = RunAudit(work.audit(), &outcome);
      break;
    case v1::Work::kProbe:
      status = RunProbe(work.probe(), &outcome);
      break;
    default:
      status = absl::UnimplementedError("this packer does not know this kind of work");
      break;
  }
  if (!status.ok()) {
    outcome.window = nullptr;
    *outcome.result.mutable_failure() = FailureOf(status);
    // A pattern that matches nothing is a mistake in the job file; a shard that is not there may
    // be a mount that only this machine lacks.
    const bool expands =
        work.has_expand_shards() || (work.has_probe() && work.probe().manifest_hash().empty());
    if (expands && absl::IsNotFound(status)) {
      outcome.result.mutable_failure()->set_fatal(true);
    }
  }
  return outcome;
}

absl::Status WorkRunner::Retry(const std::function<absl::Status()>& read) {
  return RetryRead(retry_, *clock_, stop_, metrics_, read);
}

absl::Status WorkRunner::RunExpand(const v1::ExpandShards& work, Outcome* outcome) {
  return Retry([&]() -> absl::Status {
    NAVIT_ASSIGN_OR_RETURN(*outcome->result.mutable_shards(), data_->Expand(work.spec()));
    return absl::OkStatus();
  });
}

absl::Status WorkRunner::RunIndex(const v1::IndexShard& work, Outcome* outcome) {
  return Retry([&]() -> absl::Status {
    uint64_t counted = 0;
    const auto progress = [&](uint64_t bytes_read) {
      // A metric per member would cost more than reading it.
      constexpr uint64_t kStep = uint64_t{16} << 20;
      if (bytes_read >= counted + kStep) {
        metrics_->IndexBytes(work.job(), bytes_read - counted);
        counted = bytes_read;
      }
    };
    NAVIT_ASSIGN_OR_RETURN(v1::ShardEntry entry, data_->Index(work, progress));
    metrics_->IndexBytes(work.job(), std::max(entry.bytes(), counted) - counted);
    *outcome->result.mutable_shard() = std::move(entry);
    return absl::OkStatus();
  });
}

absl::Status WorkRunner::Plan(const std::string& job, const JobPacks& packs, v1::Split split,
                              uint64_t window, WindowPlan* plan) {
  return Retry([&]() -> absl::Status {
    const absl::Duration start = clock_->SteadyNow();
    NAVIT_ASSIGN_OR_RETURN(*plan, packs.Plan(split, window));
    metrics_->PlanSeconds(job, absl::ToDoubleSeconds(clock_->SteadyNow() - start));
    return absl::OkStatus();
  });
}

absl::Status WorkRunner::RunWindow(const v1::WindowLease& work, Outcome* outcome) {
  auto window = std::make_shared<HeldWindow>();
  window->job = work.job();
  NAVIT_RETURN_IF_ERROR(Retry([&]() -> absl::Status {
    NAVIT_ASSIGN_OR_RETURN(window->packs, jobs_->Open(work.spec(), work.manifest_hash()));
    return absl::OkStatus();
  }));
  NAVIT_RETURN_IF_ERROR(
      Plan(work.job(), *window->packs, work.split(), work.window(), &window->plan));
  v1::WindowPlan* plan = outcome->result.mutable_plan();
  plan->set_packs(window->plan.packs());
  plan->set_digest(window->plan.digest);
  plan->set_plan_version(kPlanVersion);
  uint64_t tokens = 0;
  for (const PlannedExample& example : window->plan.examples) {
    if (example.tokens > 0) tokens += example.tokens + window->plan.prefix_tokens;
  }
  plan->set_image_tokens(tokens);
  plan->set_capacity_tokens(uint64_t{window->plan.packs()} * window->plan.sequence_length);
  outcome->window = std::move(window);
  return absl::OkStatus();
}

absl::Status WorkRunner::RunAudit(const v1::AuditWindows& work, Outcome* outcome) {
  std::shared_ptr<const JobPacks> packs;
  NAVIT_RETURN_IF_ERROR(Retry([&]() -> absl::Status {
    NAVIT_ASSIGN_OR_RETURN(packs, jobs_->Open(work.spec(), work.manifest_hash()));
    return absl::OkStatus();
  }));
  v1::AuditedWindows audited;
  for (uint64_t number : work.windows()) {
    WindowPlan plan;
    NAVIT_RETURN_IF_ERROR(Plan(work.job(), *packs, v1::SPLIT_TRAIN, number, &plan));
    v1::AuditedWindows::Window* window = audited.add_windows();
    window->set_window(number);
    window->set_digest(plan.digest);
    for (uint32_t p = 0; p < plan.packs(); ++p) {
      window->add_pack_samples(plan.pack_begin[p + 1] - plan.pack_begin[p]);
    }
    for (const PlannedExample& example : plan.examples) {
      window->add_samples(example.id);
      window->add_epochs(example.epoch);
    }
  }
  *outcome->result.mutable_audited() = std::move(audited);
  return absl::OkStatus();
}

absl::Status WorkRunner::RunProbe(const v1::Probe& work, Outcome* outcome) {
  const v1::JobSpec& spec = work.spec();
  v1::ProbeResult* result = outcome->result.mutable_probed();
  return Retry([&]() -> absl::Status {
    if (work.has_preview() && !work.manifest_hash().empty()) {
      NAVIT_ASSIGN_OR_RETURN(const auto packs, jobs_->Open(spec, work.manifest_hash()));
      NAVIT_ASSIGN_OR_RETURN(*result->mutable_preview(),
                             MakePreview(spec, *packs, work.preview(), nullptr));
      return absl::OkStatus();
    }
    ShardSampleOptions options;
    options.enough_samples = kProbeWindows * spec.packing().window_samples();
    NAVIT_ASSIGN_OR_RETURN(const ShardSample sample, SampleShards(spec, options, *clock_, data_));
    NAVIT_ASSIGN_OR_RETURN(const auto packs, data_->Open(spec, sample.manifest));
    if (work.has_preview()) {
      NAVIT_ASSIGN_OR_RETURN(*result->mutable_preview(),
                             MakePreview(spec, *packs, work.preview(), &sample));
      return absl::OkStatus();
    }
    if (work.has_forecast()) {
      NAVIT_ASSIGN_OR_RETURN(*result->mutable_forecast(),
                             MakeForecast(spec, sample, *packs, ForecastOptions(), *clock_, data_));
      return absl::OkStatus();
    }
    return absl::UnimplementedError("this packer does not know this kind of probe");
  });
}

}  // namespace navit
