// What kind of job a spec describes.
#ifndef NAVIT_COMMON_JOB_KIND_H_
#define NAVIT_COMMON_JOB_KIND_H_

#include <algorithm>

#include "proto/job_spec.pb.h"

namespace navit {

inline constexpr char kTrainingJob[] = "TrainingJob";
// Evaluates evaluation.checkpoint and trains nothing.
inline constexpr char kEvaluationJob[] = "EvaluationJob";

inline bool IsEvaluationJob(const v1::JobSpec& spec) { return spec.kind() == kEvaluationJob; }

// An image tower with a classifier that learns from labels: no text tower, no captions.
inline bool IsClassification(v1::LossSpec::Kind kind) {
  return kind == v1::LossSpec::SOFTMAX_CLASSIFICATION ||
         kind == v1::LossSpec::SIGMOID_CLASSIFICATION;
}

inline bool HasTask(const v1::EvaluationSpec& evaluation, v1::EvaluationSpec::Task task) {
  return std::find(evaluation.tasks().begin(), evaluation.tasks().end(), task) !=
         evaluation.tasks().end();
}

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_KIND_H_
