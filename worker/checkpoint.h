// Checkpoints: a folder DIRECTORY/JOB/step-00012000-g7 (step 12000, written in generation 7) with
//
//   model.safetensors      the parameters, by the names of worker/model/parameters.h
//   model_ema.safetensors  their moving average, if the job has one (optimizer.ema_decay)
//   optimizer.safetensors  first_moment.NAME and second_moment.NAME of each; counters as metadata
//   config.json            the resolved job spec, in the job file's dialect
//   scores.json            StepScores of the last evaluation before it, if there was one
//   manifest.json          CheckpointManifest: what the folder holds, with sizes and hashes
//
// Every file is written to a temporary name, synced and renamed; the manifest is written last, so a
// folder without one is unfinished and nobody's checkpoint. A checkpoint that is complete on disk
// still exists only once the coordinator has recorded it (Fleet.CommitCheckpoint): resume follows
// that record and never a listing of the folder.
#ifndef NAVIT_WORKER_CHECKPOINT_H_
#define NAVIT_WORKER_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/data.pb.h"
#include "proto/fleet.pb.h"
#include "proto/job_spec.pb.h"
#include "proto/jobs.pb.h"
#include "worker/model/parameters.h"

namespace navit {

// What stands in the manifest beside the files.
struct CheckpointInfo {
  v1::JobData job;
  uint64_t step = 0;
  uint64_t generation = 0;
  uint32_t world_size = 0;
  // Of the last evaluation; empty if there was none.
  v1::StepScores scores = {};
};

// DIRECTORY/JOB of a resolved spec.
std::string CheckpointRoot(const v1::JobSpec& spec);
// The checkpoint's folder.
std::string CheckpointFolder(const v1::JobSpec& spec, uint64_t step, uint64_t generation);

struct WrittenCheckpoint {
  std::string folder;
  // Sum over its files.
  uint64_t bytes = 0;
};

// Writes the state after `info.step` steps. Other checkpoints are not touched. On an error (codes
// of common/files.h: ResourceExhausted for a full disk, Unavailable for EIO) the unfinished folder
// is removed as far as possible.
absl::StatusOr<WrittenCheckpoint> WriteCheckpoint(const CheckpointInfo& info,
                                                  const ParameterTable& table,
                                                  const ModelState& state);

// Reads manifest.json. DataLoss: missing or not a manifest.
absl::StatusOr<v1::CheckpointManifest> ReadCheckpointManifest(const std::string& folder);

// Fills `*state` (gradients aside) with the checkpoint for `job`, and returns its manifest. An
// average that the checkpoint does not have begins at its weights. On an error the state is
// undefined.
// DataLoss: the checkpoint is damaged; names the file. FailedPrecondition: it is another job's, or
// was made with other data or other identity fields; names them. Other codes: reading failed, may
// be tried again.
absl::StatusOr<v1::CheckpointManifest> LoadCheckpoint(const std::string& folder,
                                                      const v1::JobData& job,
                                                      const ParameterTable& table,
                                                      ModelState* state);

// Fills state->parameters alone, for an evaluation under `spec`: with the moving average if the
// checkpoint has one. Its errors are LoadCheckpoint's; of another job's checkpoint only model, loss
// and preprocessing must be those of `spec` (model.classes aside, where no classifier has them).
absl::StatusOr<v1::CheckpointManifest> LoadForEvaluation(const std::string& folder,
                                                         const v1::JobSpec& spec,
                                                         const ParameterTable& table,
                                                         ModelState* state);

// Removes folders that the coordinator's retention no longer keeps. Only folders that are named
// like checkpoints and lie in the job's root are removed: anything else is refused
// (InvalidArgument).
absl::Status RemoveCheckpoints(const v1::JobSpec& spec, const std::vector<std::string>& folders);

// Removes what dead writers of older generations left behind: unfinished folders, and complete ones
// of this very submission of the job that are not among `recorded`. Returns what was removed. An
// absent root is fine.
absl::StatusOr<std::vector<std::string>> RemoveLeftovers(const v1::JobData& job,
                                                         uint64_t generation,
                                                         const std::vector<std::string>& recorded);

}  // namespace navit

#endif  // NAVIT_WORKER_CHECKPOINT_H_
