// From what a person wrote to what the service runs: every default filled in.
#ifndef NAVIT_COMMON_JOB_SPEC_RESOLVE_H_
#define NAVIT_COMMON_JOB_SPEC_RESOLVE_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Numbers of a tower preset (FIELD.md, "Presets").
struct TowerPreset {
  const char* name;
  uint32_t width;
  uint32_t depth;
  uint32_t mlp_dim;
  uint32_t heads;
};

// nullopt: unknown name.
std::optional<TowerPreset> FindTowerPreset(absl::string_view name);
// "mu, Ti, S, M, B, L".
absl::string_view TowerPresetNames();

// Fills in every default: first those of the field rules (nested messages are created; a text that
// is empty and an enum that is unspecified are absent), then those that are computed from other
// fields:
//   packing.max_examples_per_sequence   sequence_length / 8, at least 1
//   workers.trainers.max, packers.max   min
//   model.image.size                    the preset's numbers
//   model.image.position_rows           max_grid
//   model.text.preset, .size            the image tower's
//   model.text.vocabulary_size          258 for bytes; a model file's is read by PinTokenizer
//   model.embedding_dim                 the image tower's width
//   evaluation.token_budgets            196, or sequence_length if that is smaller
//   evaluation.tasks                    retrieval, or classification with a classification loss
//   evaluation.zero_shot.templates      "a photo of a {}." for the task zero_shot
//   data.train, train_for, checkpoints.directory of an EvaluationJob: not used there; the held-out
//                                       data, one step, the checkpoint
// Absent in the end: labels without a field, and model.text with a classification loss.
// Fields that are present stay as they are. A second call changes nothing. Never fails: what cannot
// be computed (an unknown preset) stays absent, and ValidateJobSpec says so.
void ResolveJobSpec(v1::JobSpec* spec);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_RESOLVE_H_
