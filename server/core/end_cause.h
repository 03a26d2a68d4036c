// Why a job ended: for people in its reason, for programs as a label of bounded values.
#ifndef NAVIT_SERVER_CORE_END_CAUSE_H_
#define NAVIT_SERVER_CORE_END_CAUSE_H_

#include "proto/jobs.pb.h"

namespace navit {

enum class EndCause {
  kDone,        // All steps are committed.
  kUser,        // Cancelled.
  kData,        // Shards that cannot be listed, indexed or planned; a caption that must not lack.
  kBadSamples,  // budgets.bad_sample_fraction
  kTrainer,     // What a trainer calls fatal: out of memory, not finite, a model that cannot be.
  kMismatch,    // Two computations of the same packs differ.
  kRecoveries,  // budgets.recoveries_without_progress
  kCheckpoint,  // Every checkpoint is damaged.
  kTime,        // budgets.max_hours
};

struct End {
  EndCause cause;
  v1::JobState outcome;
  // Value of the label `reason` of navit_jobs_finished_total.
  const char* name;
};

// In the order of EndCause.
inline constexpr End kEnds[] = {
    {EndCause::kDone, v1::SUCCEEDED, "done"},
    {EndCause::kUser, v1::CANCELLED, "user"},
    {EndCause::kData, v1::FAILED, "data"},
    {EndCause::kBadSamples, v1::FAILED, "bad_samples"},
    {EndCause::kTrainer, v1::FAILED, "trainer"},
    {EndCause::kMismatch, v1::FAILED, "mismatch"},
    {EndCause::kRecoveries, v1::FAILED, "recoveries"},
    {EndCause::kCheckpoint, v1::FAILED, "checkpoint"},
    {EndCause::kTime, v1::FAILED, "time"},
};

inline const End& EndOf(EndCause cause) { return kEnds[static_cast<int>(cause)]; }

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_END_CAUSE_H_
