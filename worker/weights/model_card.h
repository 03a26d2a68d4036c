// README.md of an exported model.
#ifndef NAVIT_WORKER_WEIGHTS_MODEL_CARD_H_
#define NAVIT_WORKER_WEIGHTS_MODEL_CARD_H_

#include <string>

#include "proto/jobs.pb.h"
#include "worker/weights/stored_model.h"

namespace navit {

// Markdown; `scores` may be empty: the towers, their size, the data and the training that the
// weights come from, the scores of the last evaluation, and how to use them.
std::string ModelCard(const StoredModel& model, const v1::StepScores& scores);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_MODEL_CARD_H_
