// How each tensor is updated: learning rates, decay and freezing by groups of names.
#ifndef NAVIT_WORKER_MODEL_TENSOR_RULES_H_
#define NAVIT_WORKER_MODEL_TENSOR_RULES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/job_spec.pb.h"
#include "worker/model/parameters.h"

namespace navit {

struct TensorRule {
  // Factor of the learning rate.
  double lr_scale = 1;
  // Inside the learning rate; 0 for tensors that do not decay.
  double weight_decay = 0;
  // Never changes, and its gradient is no part of the norm.
  bool frozen = false;

  bool operator==(const TensorRule&) const = default;
};

// One rule per entry of the table. optimizer.weight_decay holds for matrices; the first of
// optimizer.groups whose `match` fits a tensor's name changes its rule; and with layer_decay the
// rate of each tower's layer falls with its distance to the head: head, final norm and projection
// have factor 1, block N of D has layer_decay^(D - N), and what comes before the blocks
// layer_decay^(D + 1). InvalidArgument names a group that fits no tensor.
absl::StatusOr<std::vector<TensorRule>> ResolveTensorRules(const ParameterTable& table,
                                                           const v1::OptimizerSpec& optimizer);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TENSOR_RULES_H_
