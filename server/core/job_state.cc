#include "server/core/job_state.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {

bool IsFinal(v1::JobState state) {
  return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED;
}

std::string StateName(v1::JobState state) {
  return absl::AsciiStrToLower(v1::JobState_Name(state));
}

JobState::JobState(const v1::Event& submitted, uint64_t last_generation)
    : spec_(submitted.job_submitted().spec()),
      uid_(submitted.job_submitted().job_uid()),
      submitted_seconds_(submitted.seconds()),
      order_(std::max<uint32_t>(1, spec_.packing().windows_per_group())),
      generation_(last_generation) {
  if (!submitted.job_submitted().request_id().empty()) {
    requests_.insert(submitted.job_submitted().request_id());
  }
}

absl::Status JobState::Apply(const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kJobStateChanged: {
      const v1::JobStateChanged& change = event.job_state_changed();
      state_ = change.state();
      reason_ = change.reason();
      if (!change.request_id().empty()) requests_.insert(change.request_id());
      finished_seconds_ = IsFinal(state_) ? event.seconds() : 0;
      // The workers of these states were let go, or never there.
      if (IsFinal(state_) || state_ == v1::PAUSED || state_ == v1::STARTING) {
        members_.clear();
        recoveries_without_progress_ = 0;
      }
      return absl::OkStatus();
    }
    case v1::Event::kSpecUpdated:
      spec_ = event.spec_updated().spec();
      requests_.insert(event.spec_updated().request_id());
      generation_is_outdated_ = true;
      return absl::OkStatus();
    case v1::Event::kManifestFrozen: {
      if (manifest_ != nullptr) return absl::InternalError("the shard list is frozen already");
      manifest_ = std::make_shared<const v1::DataManifest>(event.manifest_frozen().manifest());
      if (manifest_->train_samples() == 0 ||
          manifest_->train_datasets_size() != spec_.data().train_size()) {
        manifest_ = nullptr;
        return absl::InternalError("the shard list does not have the samples of data.train");
      }
      manifest_hash_ = event.manifest_frozen().hash();
      for (const auto* shards : {&manifest_->train(), &manifest_->validation()}) {
        for (const v1::ShardEntry& shard : *shards) data_bytes_ += shard.bytes();
      }
      layout_ = StreamLayout::ForJob(spec_, *manifest_);
      state_ = v1::STARTING;
      reason_.clear();
      return absl::OkStatus();
    }
    case v1::Event::kGroupPlanned:
      return ApplyGroup(event.group_planned());
    case v1::Event::kGenerationOpened:
      return ApplyGeneration(event);
    case v1::Event::kStepsCommitted:
      return ApplySteps(event.steps_committed());
    case v1::Event::kCheckpointCommitted:
      return ApplyCheckpoint(event);
    case v1::Event::kCheckpointFailed:
      ++checkpoint_failures_;
      return absl::OkStatus();
    case v1::Event::kTrainerWarned:
      warning_ = event.trainer_warned().message();
      return absl::OkStatus();
    case v1::Event::kScoresRecorded:
      ApplyScores(event);
      return absl::OkStatus();
    default:
      return absl::InternalError(absl::StrCat("event ", event.kind_case(), " is not of a job"));
  }
}

bool JobState::FullyPlanned() const {
  return layout_.has_value() && layout_->windows() != StreamLayout::kEndless &&
         order_.windows() == layout_->windows();
}

uint32_t JobState::WindowsOfGroup(uint64_t group) const {
  const uint64_t k = order_.windows_per_group();
  const uint64_t windows = layout_->windows();
  if (windows == StreamLayout::kEndless) return k;
  return group * k >= windows ? 0 : std::min(k, windows - group * k);
}

uint64_t JobState::total_steps() const {
  if (spec_.train_for().has_steps()) return spec_.train_for().steps();
  if (!FullyPlanned()) return 0;
  const uint64_t g = spec_.packing().sequences_per_step();
  return (order_.packs() + g - 1) / g;
}

std::optional<JobState::StepRange> JobState::Step(uint64_t step) const {
  const uint64_t g = spec_.packing().sequences_per_step();
  const uint64_t total = total_steps();
  StepRange range{(step - 1) * g, step * g, total != 0 && step == total};
  if (total != 0 && step > total) {
    range.end = range.first;
    return range;
  }
  if (FullyPlanned()) {
    range.end = std::min(range.end, order_.packs());
  } else if (order_.packs() < range.end + (spec_.train_for().has_steps() ? 0 : 1)) {
    // For a job that ends with its data, a further pack must be known: else this might be the last.
    return std::nullopt;
  }
  return range;
}

double JobState::Progress(uint64_t step, uint64_t end) const {
  if (spec_.train_for().has_steps()) {
    return static_cast<double>(step) / static_cast<double>(spec_.train_for().steps());
  }
  if (end == 0) return 0;
  const uint64_t number = order_.GroupOf(end - 1);
  const GroupRow& group = order_.groups()[number];
  const uint64_t next_window = number * order_.windows_per_group() + group.window_packs.size();
  const uint64_t end_sample = next_window == layout_->windows()
                                  ? layout_->samples()
                                  : layout_->Window(next_window).first_in_stream;
  const double share =
      static_cast<double>(end - group.first_pack) / static_cast<double>(group.packs);
  return (static_cast<double>(group.first_sample) +
          share * static_cast<double>(end_sample - group.first_sample)) /
         static_cast<double>(layout_->samples());
}

absl::Status JobState::ApplyGroup(const v1::GroupPlanned& group) {
  if (manifest_ == nullptr || group.group() != order_.groups().size() ||
      group.first_pack() != order_.packs() ||
      static_cast<uint32_t>(group.window_packs_size()) != WindowsOfGroup(group.group()) ||
      group.window_packs_size() == 0 || group.window_digests_size() != group.window_packs_size()) {
    return absl::InternalError(absl::StrCat("group ", group.group(), " does not follow group ",
                                            order_.groups().size(), " at pack ", order_.packs()));
  }
  order_.Append(group);
  return absl::OkStatus();
}

absl::Status JobState::ApplyGeneration(const v1::Event& event) {
  const v1::GenerationOpened& opened = event.generation_opened();
  if (opened.generation() <= generation_ || opened.members_size() == 0 ||
      opened.members_size() != opened.member_incarnations_size()) {
    return absl::InternalError(absl::StrCat("generation ", opened.generation(),
                                            " cannot follow generation ", generation_));
  }
  const uint64_t kept = std::min<uint64_t>(opened.committed_step(), records_.size());
  if (kept + opened.adopted_size() != opened.committed_step()) {
    return absl::InternalError(absl::StrCat("generation ", opened.generation(), " adopts ",
                                            opened.adopted_size(), " steps after step ", kept,
                                            " to reach step ", opened.committed_step()));
  }
  for (int i = 0; i < opened.adopted_size(); ++i) {
    if (opened.adopted(i).step() != kept + 1 + i) {
      return absl::InternalError("adopted steps have a gap");
    }
  }
  // Checkpoints newer than the one that is loaded were found damaged: they are no checkpoints.
  auto loaded = checkpoints_.end();
  if (opened.source_rank() < 0) {
    loaded = std::find_if(checkpoints_.begin(), checkpoints_.end(), [&](const CheckpointRecord& c) {
      return c.path == opened.checkpoint() && c.step == kept;
    });
  }
  if (loaded != checkpoints_.end()) {
    checkpoints_.erase(std::next(loaded), checkpoints_.end());
  } else if (kept < checkpoint_step()) {
    return absl::InternalError("rollback below a checkpoint");
  }

  const bool recovers = state_ == v1::RECOVERING || state_ == v1::PAUSING;
  generation_ = opened.generation();
  members_.clear();
  for (int i = 0; i < opened.members_size(); ++i) {
    members_.push_back({opened.members(i), opened.member_incarnations(i)});
  }
  source_rank_ = opened.source_rank();
  generation_checkpoint_ = opened.checkpoint();
  generation_step_ = opened.committed_step();
  generation_is_outdated_ = false;
  while (records_.size() > kept) {
    const v1::StepReport& gone = records_.back();
    sums_.samples -= gone.samples();
    sums_.holes -= gone.holes();
    sums_.image_tokens -= gone.image_tokens();
    sums_.capacity_tokens -= gone.capacity_tokens();
    records_.pop_back();
  }
  while (!score_history_.empty() && score_history_.back().step() > kept) score_history_.pop_back();
  if (recovers) {
    ++recoveries_;
    // A step that is adopted is progress of the generation that broke.
    recoveries_without_progress_ = opened.adopted_size() > 0 ? 0 : recoveries_without_progress_ + 1;
  }
  for (const v1::StepReport& report : opened.adopted()) AddRecord(report);
  if (started_seconds_ == 0) started_seconds_ = event.seconds();
  if (state_ != v1::PAUSING) state_ = v1::RUNNING;
  reason_.clear();
  return absl::OkStatus();
}

absl::Status JobState::ApplySteps(const v1::StepsCommitted& steps) {
  if (steps.generation() != generation_) {
    return absl::InternalError(
        absl::StrCat("steps of generation ", steps.generation(), " in generation ", generation_));
  }
  for (int i = 0; i < steps.steps_size(); ++i) {
    if (steps.steps(i).step() != records_.size() + 1 + i) {
      return absl::InternalError(
          absl::StrCat("step ", steps.steps(i).step(), " does not follow step ", records_.size()));
    }
  }
  for (const v1::StepReport& report : steps.steps()) AddRecord(report);
  held_seconds_ += steps.held_seconds();
  recoveries_without_progress_ = 0;
  return absl::OkStatus();
}

absl::Status JobState::ApplyCheckpoint(const v1::Event& event) {
  const v1::CheckpointCommitted& committed = event.checkpoint_committed();
  if (committed.step() > records_.size() || committed.step() < checkpoint_step()) {
    return absl::InternalError(absl::StrCat("checkpoint of step ", committed.step(),
                                            " at committed step ", records_.size()));
  }
  to_remove_.clear();
  // A newer one of the same step replaces the older one.
  if (!checkpoints_.empty() && checkpoints_.back().step == committed.step()) {
    if (checkpoints_.back().path != committed.path()) {
      to_remove_.push_back(checkpoints_.back().path);
    }
    checkpoints_.pop_back();
  }
  checkpoints_.push_back({committed.step(), committed.generation(), committed.path(),
                          committed.bytes(), event.seconds()});
  // The newest ones, and those that stay for good.
  const size_t keep_last = std::max<uint32_t>(1, spec_.checkpoints().keep_last());
  const uint32_t keep_every = spec_.checkpoints().keep_every_steps();
  const size_t older = checkpoints_.size() - std::min(keep_last, checkpoints_.size());
  const auto end = checkpoints_.begin() + static_cast<ptrdiff_t>(older);
  const auto removed =
      std::stable_partition(checkpoints_.begin(), end, [&](const CheckpointRecord& checkpoint) {
        return keep_every != 0 && checkpoint.step % keep_every == 0;
      });
  for (auto it = removed; it != end; ++it) to_remove_.push_back(it->path);
  checkpoints_.erase(removed, end);
  return absl::OkStatus();
}

void JobState::ApplyScores(const v1::Event& event) {
  const v1::ScoresRecorded& recorded = event.scores_recorded();
  scores_ = recorded.scores();
  while (!score_history_.empty() && score_history_.back().step() >= recorded.step()) {
    score_history_.pop_back();
  }
  v1::StepScores scores;
  scores.set_step(recorded.step());
  scores.set_seconds(event.seconds());
  *scores.mutable_scores() = recorded.scores();
  score_history_.push_back(std::move(scores));
}

void JobState::AddRecord(const v1::StepReport& report) {
  sums_.samples += report.samples();
  sums_.holes += report.holes();
  sums_.image_tokens += report.image_tokens();
  sums_.capacity_tokens += report.capacity_tokens();
  records_.push_back(report);
}

}  // namespace navit
