// How large the gradient of each layer is, for people who look for what does not learn.
#ifndef NAVIT_WORKER_MODEL_LAYER_GRADIENTS_H_
#define NAVIT_WORKER_MODEL_LAYER_GRADIENTS_H_

#include <string>
#include <utility>
#include <vector>

#include "worker/model/parameters.h"

namespace navit {

// "image.blocks.3", "image.patch_embed", "text.pool", "loss.logit_scale" and so on, in the order of
// the table, each with the norm of its tensors' part of `gradients`, a flat array of the table.
std::vector<std::pair<std::string, double>> LayerGradientNorms(const ParameterTable& table,
                                                               const float* gradients);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_LAYER_GRADIENTS_H_
