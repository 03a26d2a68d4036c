// Notices a contrastive loss that does not move from where chance puts it.
#ifndef NAVIT_WORKER_STUCK_LOSS_H_
#define NAVIT_WORKER_STUCK_LOSS_H_

#include <cstdint>
#include <string>

#include "worker/model/parameters.h"
#include "worker/model/train_step.h"

namespace navit {

// Towers that tell no pair from another give a softmax loss of ln N over N examples. It starts
// there; a learning rate that is too high or a warm-up that is too short keeps it there.
class StuckLoss {
 public:
  static constexpr int kSteps = 50;
  static constexpr double kTolerance = 0.01;

  // Of each step in turn. True when this is the last of kSteps steps in a row whose loss was within
  // kTolerance of ln N, and then after every further kSteps. A step of less than two examples says
  // nothing, and neither ends a row nor adds to it.
  bool Observe(double loss, int64_t examples);

 private:
  int steps_ = 0;
};

// What to say about it. `summary` is one sentence for describe and the event; `details` has every
// block's attention logit and every layer's gradient norm, for the log.
struct StuckLossText {
  std::string summary;
  std::string details;
};
StuckLossText DescribeStuckLoss(uint64_t step, const StepGradients& step_gradients,
                                const StepDiagnosis& diagnosis, const ParameterTable& table,
                                const float* gradients);

}  // namespace navit

#endif  // NAVIT_WORKER_STUCK_LOSS_H_
