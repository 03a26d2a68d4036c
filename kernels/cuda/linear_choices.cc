#include "kernels/cuda/linear_choices.h"

#include <algorithm>

namespace navit::kernels::cuda {

bool IsReproducible(const LinearAlgorithm& algorithm) {
  if (algorithm.reduction == kReductionComputeType) return true;
  return algorithm.reduction == kReductionNone &&
         (algorithm.split_k == 0 || algorithm.split_k == 1);
}

const LinearChoice* FindLinearChoice(const LinearChoices& choices, const LinearShape& shape) {
  constexpr double kFarthest = 2;
  const LinearChoice* nearest = nullptr;
  double nearest_ratio = 0;
  for (const LinearChoice& choice : choices.choices) {
    LinearShape there = choice.shape;
    there.rows = shape.rows;
    if (there != shape) continue;
    const auto [fewer, more] = std::minmax(choice.shape.rows, shape.rows);
    const double ratio = static_cast<double>(more) / static_cast<double>(fewer);
    if (ratio > kFarthest || (nearest != nullptr && ratio > nearest_ratio)) continue;
    if (nearest != nullptr && ratio == nearest_ratio && choice.shape.rows > nearest->shape.rows) {
      continue;
    }
    nearest = &choice;
    nearest_ratio = ratio;
  }
  return nearest;
}

}  // namespace navit::kernels::cuda
