// README.md of an exported model.
#ifndef NAVIT_WORKER_WEIGHTS_MODEL_CARD_H_
#define NAVIT_WORKER_WEIGHTS_MODEL_CARD_H_

#include <string>

#include "worker/weights/stored_model.h"

namespace navit {

// Markdown: the towers, their size, the data and the training that the weights come from, and how
// to use them.
std::string ModelCard(const StoredModel& model);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_MODEL_CARD_H_
