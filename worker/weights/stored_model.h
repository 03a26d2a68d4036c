// A trained model in a folder: a checkpoint, or what `navitctl export` made of one.
#ifndef NAVIT_WORKER_WEIGHTS_STORED_MODEL_H_
#define NAVIT_WORKER_WEIGHTS_STORED_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/object_store/object_store.h"
#include "proto/job_spec.pb.h"
#include "worker/model/aligned_buffer.h"
#include "worker/model/parameters.h"
#include "worker/safetensors.h"

namespace navit {

// Which weights of a checkpoint with a moving average (optimizer.ema_decay). An export and a
// checkpoint without one hold one kind alone.
enum class StoredWeights {
  // The average where there is one: what the job's evaluation uses.
  kEvaluated,
  // Those that training goes on from.
  kTrained,
};

struct StoredModel {
  // Resolved; of an export only what export.h lists is the job's own.
  v1::JobSpec spec;
  ParameterTable table;
  // A flat array of the table.
  AlignedBuffer parameters;
  // Steps that it was trained for.
  std::string step;
  // The parameters are a moving average.
  bool is_average = false;
};

// Reads config.json and the weights of `folder`, a path or a URL. A relative name of
// the tokenizer's file is one in the folder. The weights are held against the checkpoint's manifest
// where there is one. NotFound: no such folder; InvalidArgument or DataLoss: names the file and
// what is wrong with it.
absl::StatusOr<StoredModel> LoadStoredModel(ObjectStore* store, const std::string& folder,
                                            StoredWeights weights = StoredWeights::kEvaluated);

// What the metadata of model.safetensors of an export says of an average: {kAverageMark, "true"}.
inline constexpr char kAverageMark[] = "average";

// A weights file of any origin; see Safetensors::FromBytes.
absl::StatusOr<Safetensors> LoadSafetensors(ObjectStore* store, const std::string& path);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_STORED_MODEL_H_
