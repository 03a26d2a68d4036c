// init_from of a job file: weights that a job starts from.
#ifndef NAVIT_WORKER_WEIGHTS_INIT_FROM_H_
#define NAVIT_WORKER_WEIGHTS_INIT_FROM_H_

#include "absl/status/status.h"
#include "common/object_store/object_store.h"
#include "proto/job_spec.pb.h"
#include "worker/model/parameters.h"

namespace navit {

// Replaces those parameters of `state`, which InitializeState has filled, that `init_from` of a
// resolved spec names; an absent one changes nothing. Every rank does it for itself and gets the
// same bits. InvalidArgument: the weights do not fit the model; names file and tensor. Other codes:
// those of ObjectStore.
absl::Status InitializeFrom(ObjectStore* store, const v1::InitFromSpec& init_from,
                            const ParameterTable& table, ModelState* state);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_INIT_FROM_H_
