// The durable state of one job, made by its events alone. Replaying the same events gives the same
// state; nothing else changes it.
#ifndef NAVIT_SERVER_CORE_JOB_STATE_H_
#define NAVIT_SERVER_CORE_JOB_STATE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/stream_layout.h"
#include "proto/events.pb.h"
#include "server/core/pack_order.h"

namespace navit {

// A worker process: a name alone may be taken over by a newer process.
struct Member {
  std::string name;
  uint64_t incarnation = 0;
  friend bool operator==(const Member& a, const Member& b) {
    return a.name == b.name && a.incarnation == b.incarnation;
  }
};

struct CheckpointRecord {
  uint64_t step = 0;
  uint64_t generation = 0;
  std::string path;
  uint64_t bytes = 0;
  double committed_seconds = 0;
};

// Sums over the committed steps of the current lineage.
struct LineageSums {
  uint64_t samples = 0;
  uint64_t holes = 0;
  uint64_t image_tokens = 0;
  uint64_t capacity_tokens = 0;
};

bool IsFinal(v1::JobState state);
// "running", "queued", … as users see it.
std::string StateName(v1::JobState state);

class JobState {
 public:
  // `submitted` holds a JobSubmitted. Generations count from last_generation + 1: calls name a job
  // and a generation, and a late call of a deleted job of this name must not fit.
  JobState(const v1::Event& submitted, uint64_t last_generation);

  // Applies an event of this job. INTERNAL: the event does not fit the state; the state is
  // unchanged.
  absl::Status Apply(const v1::Event& event);

  const std::string& name() const { return spec_.name(); }
  uint64_t uid() const { return uid_; }
  const v1::JobSpec& spec() const { return spec_; }
  v1::JobState state() const { return state_; }
  const std::string& reason() const { return reason_; }
  double submitted_seconds() const { return submitted_seconds_; }
  double started_seconds() const { return started_seconds_; }
  double finished_seconds() const { return finished_seconds_; }
  bool HasRequest(const std::string& request_id) const { return requests_.count(request_id) > 0; }

  // nullptr and "" until the shard list is frozen.
  const std::shared_ptr<const v1::DataManifest>& manifest() const { return manifest_; }
  const std::string& manifest_hash() const { return manifest_hash_; }
  // Of all its shards.
  uint64_t data_bytes() const { return data_bytes_; }
  // Requires manifest().
  const StreamLayout& layout() const { return *layout_; }

  const PackOrder& order() const { return order_; }
  // All windows of the stream have ordinals.
  bool FullyPlanned() const;
  // Windows of group `group`: K, fewer in the stream's last group, 0 beyond the stream.
  uint32_t WindowsOfGroup(uint64_t group) const;
  // 0: not known yet. For a job given in epochs or examples: once FullyPlanned().
  uint64_t total_steps() const;
  // Ordinals [first, end) of step `step` >= 1, as far as known: nullopt until all of them have
  // their place and it is known whether the job ends with this step. Empty range: no such step.
  struct StepRange {
    uint64_t first = 0;
    uint64_t end = 0;
    bool last = false;
  };
  std::optional<StepRange> Step(uint64_t step) const;
  // Progress of train_for after ordinals [0, end) of a job whose step `step` ends there, in [0, 1]:
  // step / steps; for jobs given in epochs or examples, the share of all samples, counted evenly
  // over the packs of a group.
  double Progress(uint64_t step, uint64_t end) const;

  // The newest generation that was opened; last_generation: none yet.
  uint64_t generation() const { return generation_; }
  // Ranks of that generation; empty once its workers were let go (paused, final, started again).
  const std::vector<Member>& members() const { return members_; }
  int source_rank() const { return source_rank_; }
  // Where that generation loads from when source_rank() is -1.
  const std::string& generation_checkpoint() const { return generation_checkpoint_; }
  // The spec has changed since that generation opened.
  bool generation_is_outdated() const { return generation_is_outdated_; }
  // The committed step when that generation opened.
  uint64_t generation_step() const { return generation_step_; }

  uint64_t committed_step() const { return records_.size(); }
  // records()[s - 1] is the record of step s.
  const std::vector<v1::StepReport>& records() const { return records_; }
  const LineageSums& sums() const { return sums_; }
  // For which trainers were held, up to the newest committed step; what was rolled back counts too.
  double held_seconds() const { return held_seconds_; }
  uint32_t recoveries() const { return recoveries_; }
  uint32_t recoveries_without_progress() const { return recoveries_without_progress_; }

  // Kept checkpoints by step, newest last; never above committed_step().
  const std::vector<CheckpointRecord>& checkpoints() const { return checkpoints_; }
  uint64_t checkpoint_step() const { return checkpoints_.empty() ? 0 : checkpoints_.back().step; }
  // What the retention policy dropped when the newest checkpoint was committed.
  const std::vector<std::string>& checkpoints_to_remove() const { return to_remove_; }
  uint64_t checkpoint_failures() const { return checkpoint_failures_; }
  // The newest one, of any generation.
  const std::string& warning() const { return warning_; }
  const v1::Scores& scores() const { return scores_; }
  // Every evaluation of the current lineage, oldest first; a repeated one of a step replaces it.
  const std::vector<v1::StepScores>& score_history() const { return score_history_; }

 private:
  absl::Status ApplyGroup(const v1::GroupPlanned& group);
  absl::Status ApplyGeneration(const v1::Event& event);
  absl::Status ApplySteps(const v1::StepsCommitted& steps);
  absl::Status ApplyCheckpoint(const v1::Event& event);
  void ApplyScores(const v1::Event& event);
  void AddRecord(const v1::StepReport& report);

  v1::JobSpec spec_;
  uint64_t uid_ = 0;
  v1::JobState state_ = v1::QUEUED;
  std::string reason_;
  double submitted_seconds_ = 0;
  double started_seconds_ = 0;
  double finished_seconds_ = 0;
  std::set<std::string> requests_;

  std::string manifest_hash_;
  uint64_t data_bytes_ = 0;
  std::shared_ptr<const v1::DataManifest> manifest_;
  std::optional<StreamLayout> layout_;
  PackOrder order_;

  uint64_t generation_ = 0;
  std::vector<Member> members_;
  int source_rank_ = -1;
  std::string generation_checkpoint_;
  uint64_t generation_step_ = 0;
  bool generation_is_outdated_ = false;

  std::vector<v1::StepReport> records_;
  LineageSums sums_;
  double held_seconds_ = 0;
  uint32_t recoveries_ = 0;
  uint32_t recoveries_without_progress_ = 0;

  std::vector<CheckpointRecord> checkpoints_;
  std::vector<std::string> to_remove_;
  uint64_t checkpoint_failures_ = 0;
  std::string warning_;
  v1::Scores scores_;
  std::vector<v1::StepScores> score_history_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_JOB_STATE_H_
