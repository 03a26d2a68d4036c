#include "worker/model/classification_loss.h"

#include "common/status_macros.h"
#include "kernels/classification.h"

namespace navit {

absl::StatusOr<ClassificationLossResult> ClassificationLoss(const ClassificationLossArgs& args,
                                                            Collective* collective,
                                                            kernels::ThreadPool& pool) {
  const int64_t rows = static_cast<int64_t>(args.labels.size());
  double examples = static_cast<double>(rows);
  NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(&examples, 1)));
  ClassificationLossResult result;
  result.examples = static_cast<int64_t>(examples);
  // All ranks see the same sum, so all of them stop here or none.
  if (result.examples == 0) return result;
  const kernels::ClassificationArgs kernel = {.rows = rows,
                                              .classes = args.classes,
                                              .logits = args.logits.data(),
                                              .label = args.labels.data(),
                                              .smoothing = args.label_smoothing,
                                              .weight = 1 / examples,
                                              .dlogits = args.dlogits.data(),
                                              .loss = &result.loss};
  if (args.kind == v1::LossSpec::SIGMOID_CLASSIFICATION) {
    kernels::SigmoidClassification(kernel, pool);
  } else {
    kernels::SoftmaxClassification(kernel, pool);
  }
  NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(&result.loss, 1)));
  return result;
}

}  // namespace navit
