// Bounds that follow from a job's spec.
#ifndef NAVIT_SERVER_CORE_LIMITS_H_
#define NAVIT_SERVER_CORE_LIMITS_H_

#include <cstdint>

#include "proto/job_spec.pb.h"

namespace navit {

// The most bytes that a frame of this (resolved) job can have: header and payload with every token
// and every example that a sequence may hold, integers at their longest. The relay refuses more.
uint64_t MaxFrameBytes(const v1::JobSpec& spec);

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_LIMITS_H_
