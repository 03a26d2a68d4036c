#include "worker/evaluation_job.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/files.h"
#include "common/job_spec/print.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "proto/jobs.pb.h"

namespace navit {

std::string EvaluationFile(const v1::JobSpec& spec) {
  return absl::StrCat(absl::StripSuffix(spec.evaluation().checkpoint(), "/"), ".", spec.name(),
                      ".json");
}

absl::Status EvaluateCheckpoint(const EvaluationArgs& args) {
  v1::StepScores result;
  NAVIT_RETURN_IF_ERROR(EvaluateTasks(args, result.mutable_scores()));
  if (args.collective->rank() != 0) return absl::OkStatus();
  result.set_step(args.step);
  result.set_seconds(absl::ToDoubleSeconds(Clock::Real()->UnixNow() - absl::UnixEpoch()));
  const std::string path = EvaluationFile(*args.spec);
  NAVIT_RETURN_IF_ERROR(AtomicWriteFile(path, ToJson(result)));
  NAVIT_LOG(INFO) << "scores in " << path;
  v1::ReportEventRequest event;
  event.set_step(args.step);
  *event.mutable_scores() = result.scores();
  return args.client->ReportEvent(std::move(event));
}

}  // namespace navit
