// What makes a job the same job: the IDENTITY fields of its spec (proto/field_rule.proto). A change
// of one would make other packs or another model, so a resume with it is refused, by name.
#ifndef NAVIT_COMMON_JOB_SPEC_IDENTITY_H_
#define NAVIT_COMMON_JOB_SPEC_IDENTITY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proto/job_spec.pb.h"

namespace navit {

// XXH3 (64 bits) over "path=value" lines of all IDENTITY fields in the order of the file. Requires
// a resolved spec, else equal jobs may differ. A field that a later version adds changes the hash
// of new jobs only if it is present.
uint64_t IdentityHash(const v1::JobSpec& spec);

// Paths of the IDENTITY fields that are not equal in both, in the order of the file; empty: the
// same job. Requires resolved specs.
std::vector<std::string> IdentityDifference(const v1::JobSpec& a, const v1::JobSpec& b);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_IDENTITY_H_
