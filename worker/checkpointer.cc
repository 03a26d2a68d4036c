#include "worker/checkpointer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// Steps after which a checkpoint that failed is tried again.
constexpr uint64_t kRetrySteps = 10;
constexpr int kFinalAttempts = 4;

absl::Duration Now() { return Clock::Real()->SteadyNow(); }

void Copy(const AlignedBuffer& from, AlignedBuffer* to) {
  std::copy(from.data(), from.data() + from.size(), to->data());
}

const char* FailureReason(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) return "no_space";
  if (absl::IsPermissionDenied(status)) return "permission";
  if (absl::IsFailedPrecondition(status)) return "refused";
  return "io";
}

}  // namespace

Checkpointer::Checkpointer(const v1::JobData& job, uint64_t generation, uint32_t world_size,
                           const ParameterTable* table, RunClient* client, TrainerMetrics* metrics)
    : table_(table),
      client_(client),
      metrics_(metrics),
      info_{.job = job, .generation = generation, .world_size = world_size} {}

Checkpointer::~Checkpointer() { JoinWriter(); }

void Checkpointer::JoinWriter() {
  if (writer_.joinable()) writer_.join();
}

void Checkpointer::SetScores(uint64_t step, const v1::Scores& scores) {
  info_.scores.set_step(step);
  info_.scores.set_seconds(absl::ToDoubleSeconds(Clock::Real()->UnixNow() - absl::UnixEpoch()));
  *info_.scores.mutable_scores() = scores;
}

bool Checkpointer::IsDue(uint64_t step) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (step % info_.job.spec().checkpoints().every_steps() == 0) due_ = true;
  if (failed_) {
    failed_ = false;
    due_ = true;
    retry_at_ =
        step + std::min<uint64_t>(kRetrySteps, info_.job.spec().checkpoints().every_steps());
  }
  return due_ && !writing_ && step >= retry_at_;
}

void Checkpointer::Begin(uint64_t step, const ModelState& state) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    due_ = false;
    writing_ = true;
  }
  JoinWriter();
  const absl::Duration start = Now();
  if (copy_ == nullptr) {
    copy_ = std::make_unique<ModelState>(*table_, state.has_average());
    copy_->gradients = AlignedBuffer();
  }
  Copy(state.average, &copy_->average);
  Copy(state.parameters, &copy_->parameters);
  Copy(state.first_moment, &copy_->first_moment);
  Copy(state.second_moment, &copy_->second_moment);
  copy_->updates = state.updates;
  metrics_->CheckpointPhase("copy", Now() - start);
  info_.step = step;
  writer_ = std::thread([this, info = info_] {
    const absl::Status status = WriteAndCommit(info, *copy_);
    if (!status.ok() && !client_->cancelled()) Fail(info.step, status);
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    failed_ = !status.ok();
  });
}

absl::Status Checkpointer::WriteNow(uint64_t step, const ModelState& state) {
  JoinWriter();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (recorded_step_ == step && step != 0) return absl::OkStatus();
  }
  info_.step = step;
  absl::Status status;
  for (int attempt = 0; attempt < kFinalAttempts; ++attempt) {
    if (attempt > 0 && !client_->Wait(absl::Seconds(1 << attempt))) break;
    status = WriteAndCommit(info_, state);
    if (status.ok() || client_->cancelled()) return status;
    Fail(step, status);
    if (absl::IsFailedPrecondition(status)) return status;
  }
  return status;
}

absl::Status Checkpointer::WriteAndCommit(const CheckpointInfo& info, const ModelState& state) {
  RemoveOldLeftovers();
  absl::Duration start = Now();
  NAVIT_ASSIGN_OR_RETURN(const WrittenCheckpoint written, WriteCheckpoint(info, *table_, state));
  metrics_->CheckpointPhase("write", Now() - start);
  start = Now();
  absl::StatusOr<std::vector<std::string>> remove =
      client_->CommitCheckpoint(info.step, written.folder, written.bytes);
  // Refused for good: nobody will ever ask for it. Otherwise it may be recorded: it stays.
  if (absl::IsFailedPrecondition(remove.status())) {
    RemoveCheckpoints(info.job.spec(), {written.folder}).IgnoreError();
  }
  NAVIT_RETURN_IF_ERROR(remove.status());
  metrics_->CheckpointPhase("commit", Now() - start);
  metrics_->CheckpointWritten(written.bytes, Clock::Real()->UnixNow());
  NAVIT_LOG(INFO) << "checkpoint of step " << info.step << " in " << written.folder << ", "
                  << written.bytes << " bytes";
  {
    std::lock_guard<std::mutex> lock(mutex_);
    recorded_step_ = info.step;
  }
  if (absl::Status status = RemoveCheckpoints(info.job.spec(), *remove); !status.ok()) {
    NAVIT_LOG(WARNING) << "removing old checkpoints: " << status.message();
  }
  return absl::OkStatus();
}

void Checkpointer::Fail(uint64_t step, const absl::Status& status) {
  metrics_->CheckpointFailed(FailureReason(status));
  NAVIT_LOG(ERROR) << "checkpoint of step " << step << ": " << status.message();
  v1::ReportEventRequest event;
  event.set_step(step);
  event.set_checkpoint_failure(std::string(status.message()));
  client_->ReportEvent(std::move(event)).IgnoreError();
}

void Checkpointer::RemoveOldLeftovers() {
  if (leftovers_removed_) return;
  leftovers_removed_ = true;
  const absl::StatusOr<std::vector<std::string>> recorded = client_->RecordedCheckpoints();
  if (!recorded.ok()) return;
  const auto removed = RemoveLeftovers(info_.job, info_.generation, *recorded);
  if (!removed.ok()) {
    NAVIT_LOG(WARNING) << "removing unfinished checkpoints: " << removed.status().message();
    return;
  }
  for (const std::string& folder : *removed) {
    NAVIT_LOG(INFO) << "removed the unfinished checkpoint " << folder;
  }
}

}  // namespace navit
