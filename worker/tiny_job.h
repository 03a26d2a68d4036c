// A job and its packs, for trainers' tests.
#ifndef NAVIT_WORKER_TINY_JOB_H_
#define NAVIT_WORKER_TINY_JOB_H_

#include <cstdint>
#include <string>

#include "proto/batches.pb.h"
#include "proto/fleet.pb.h"

namespace navit {

// Examples of every pack.
inline constexpr uint32_t kTinyExamples = 4;

// A job with a model of some thousand parameters; its checkpoints go below `folder`.
v1::JobData TinyJob(const std::string& folder);
// Pack `ordinal` of the job: of texts alone for SPLIT_PROMPTS, with labels where it has classes.
v1::PullReply TinyPack(const v1::JobData& job, uint64_t ordinal, v1::Split split);

}  // namespace navit

#endif  // NAVIT_WORKER_TINY_JOB_H_
