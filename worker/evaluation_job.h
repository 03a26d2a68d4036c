// What an EvaluationJob does once a rank has the checkpoint's weights.
#ifndef NAVIT_WORKER_EVALUATION_JOB_H_
#define NAVIT_WORKER_EVALUATION_JOB_H_

#include <string>

#include "absl/status/status.h"
#include "worker/evaluation.h"

namespace navit {

// CHECKPOINT.JOB.json, beside the checkpoint's folder.
std::string EvaluationFile(const v1::JobSpec& spec);

// EvaluateTasks; then rank 0 writes the scores, as a v1::StepScores in the job file's dialect, to
// EvaluationFile and reports them, which ends the job. All ranks call it. Errors of EvaluateTasks,
// of common/files.h, and of RunClient::ReportEvent.
absl::Status EvaluateCheckpoint(const EvaluationArgs& args);

}  // namespace navit

#endif  // NAVIT_WORKER_EVALUATION_JOB_H_
