#include "worker/model/position_embedding.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "kernels/position_table.h"
#include "kernels/position_waves.h"
#include "kernels/prefix_tokens.h"
#include "kernels/resampled_table.h"
#include "kernels/rope.h"
#include "worker/model/resample_weights.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;

bool IsTable(Image::PositionEmbedding kind) {
  return kind == Image::FACTORIZED_SUM || kind == Image::FACTORIZED_PRODUCT ||
         kind == Image::FACTORIZED_STACK || kind == Image::JOINT;
}

kernels::PositionCombination Combination(Image::PositionEmbedding kind) {
  if (kind == Image::FACTORIZED_PRODUCT) return kernels::PositionCombination::kProduct;
  if (kind == Image::FACTORIZED_STACK) return kernels::PositionCombination::kStack;
  if (kind == Image::JOINT) return kernels::PositionCombination::kJoint;
  return kernels::PositionCombination::kSum;
}

float Fraction(int64_t place, int64_t rows, int64_t side) {
  // (place + 1/2) * rows / side - 1/2 with one rounding per operation.
  const float u = static_cast<float>((2 * place + 1) * rows - side) / static_cast<float>(2 * side);
  return std::clamp(u, 0.0f, static_cast<float>(rows - 1));
}

// How many places the table's rows are spread over, along each axis of example `i`.
std::array<int64_t, 2> Sides(const ModelConfig& config, const Batch& batch, int64_t i) {
  const int64_t rows = batch.grids[2 * i];
  const int64_t columns = batch.grids[2 * i + 1];
  if (config.coordinates != Image::ASPECT_FRACTIONAL) return {rows, columns};
  return {std::max(rows, columns), std::max(rows, columns)};
}

}  // namespace

void PositionCoordinates(const ModelConfig& config, const Batch& batch, float* coordinates) {
  for (int64_t i = 0; i < batch.examples(); ++i) {
    const std::array<int64_t, 2> sides = Sides(config, batch, i);
    for (int64_t t = batch.image_cu_seqlens[i]; t < batch.image_cu_seqlens[i + 1]; ++t) {
      for (int axis = 0; axis < 2; ++axis) {
        const int64_t place = batch.positions[2 * t + axis];
        coordinates[2 * t + axis] = config.coordinates == Image::ABSOLUTE
                                        ? static_cast<float>(place)
                                        : Fraction(place, config.position_rows, sides[axis]);
      }
    }
  }
}

void PositionWeights(const ModelConfig& config, const Batch& batch, float* weights) {
  std::map<int64_t, std::vector<float>> by_side;
  const int64_t rows = config.position_rows;
  for (int64_t i = 0; i < batch.examples(); ++i) {
    const std::array<int64_t, 2> sides = Sides(config, batch, i);
    for (int axis = 0; axis < 2; ++axis) {
      std::vector<float>& of_side = by_side[sides[axis]];
      if (of_side.empty()) of_side = ResampleWeights(config.interpolation, rows, sides[axis]);
      for (int64_t t = batch.image_cu_seqlens[i]; t < batch.image_cu_seqlens[i + 1]; ++t) {
        std::copy_n(of_side.data() + batch.positions[2 * t + axis] * rows, rows,
                    weights + (2 * t + axis) * rows);
      }
    }
  }
}

std::vector<float> SinusoidalFrequencies(int64_t width) {
  const int64_t quarter = width / 4;
  std::vector<float> frequencies(width, 0.0f);
  for (int64_t k = 0; k < quarter; ++k) {
    const double omega = std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(quarter));
    frequencies[2 * k] = static_cast<float>(omega);
    frequencies[2 * (quarter + k) + 1] = static_cast<float>(omega);
  }
  return frequencies;
}

PositionEmbedding<CpuOps>::PositionEmbedding(const ParameterTable& table)
    : config_(table.config()) {
  switch (config_.position) {
    case Image::SINUSOIDAL:
      fixed_frequencies_ = SinusoidalFrequencies(config_.image.width);
      return;
    case Image::FOURIER:
      first_ = table.Find("image.position.frequencies").offset;
      return;
    case Image::JOINT:
      first_ = table.Find("image.position.table").offset;
      return;
    case Image::ROPE:
      for (int64_t i = 0; i < config_.image.prefix_tokens * 2; ++i) {
        no_turn_.insert(no_turn_.end(), config_.image.head_dim() / 2, i % 2 == 0 ? 1.0f : 0.0f);
      }
      return;
    default:
      first_ = table.Find("image.position.row").offset;
      second_ = table.Find("image.position.column").offset;
  }
}

PositionActivations PositionEmbedding<CpuOps>::LayOut(const Batch& batch, Arena* arena) const {
  const int64_t tokens = batch.image_tokens();
  PositionActivations a;
  if (config_.resamples_positions()) {
    a.weights = arena->Take(2 * tokens * config_.position_rows);
    return a;
  }
  a.coordinates = arena->Take(2 * tokens);
  if (config_.position != Image::ROPE) return a;
  const int64_t prefix_tokens = config_.image.prefix_tokens;
  const int64_t head_dim = config_.image.head_dim();
  a.rope = arena->Take((tokens + batch.examples() * prefix_tokens) * head_dim);
  a.rope_patches = prefix_tokens > 0 ? arena->Take(tokens * head_dim) : a.rope;
  return a;
}

void PositionEmbedding<CpuOps>::Forward(const float* parameters, const Batch& batch,
                                        const PositionActivations& a, float* x,
                                        kernels::ThreadPool& pool) const {
  const int64_t tokens = batch.image_tokens();
  const int64_t width = config_.image.width;
  if (config_.resamples_positions()) {
    PositionWeights(config_, batch, a.weights);
    kernels::ResampledTableForward({.tokens = tokens,
                                    .dim = width,
                                    .table_rows = config_.position_rows,
                                    .weights = a.weights,
                                    .table = parameters + first_,
                                    .x = x},
                                   pool);
    return;
  }
  PositionCoordinates(config_, batch, a.coordinates);
  if (config_.position == Image::ROPE) {
    const int64_t head_dim = config_.image.head_dim();
    kernels::RopeTable(tokens, head_dim, a.coordinates, a.rope_patches);
    if (config_.image.prefix_tokens == 0) return;
    kernels::InsertPrefix({.segments = batch.examples(),
                           .prefix_tokens = config_.image.prefix_tokens,
                           .dim = head_dim,
                           .cu_seqlens = batch.image_cu_seqlens.data(),
                           .x = a.rope_patches,
                           .prefix = no_turn_.data(),
                           .y = a.rope},
                          pool);
  } else if (IsTable(config_.position)) {
    kernels::PositionTableForward({.tokens = tokens,
                                   .dim = width,
                                   .table_rows = config_.position_rows,
                                   .combination = Combination(config_.position),
                                   .coordinates = a.coordinates,
                                   .row_table = parameters + first_,
                                   .column_table = parameters + second_,
                                   .x = x},
                                  pool);
  } else {
    const bool learned = config_.position == Image::FOURIER;
    kernels::PositionWavesForward(
        {.tokens = tokens,
         .dim = width,
         .scale = learned ? 2 * std::numbers::pi_v<float> : 1.0f,
         .coordinates = a.coordinates,
         .frequencies = learned ? parameters + first_ : fixed_frequencies_.data(),
         .x = x},
        pool);
  }
}

void PositionEmbedding<CpuOps>::Backward(const float* parameters, float* gradients,
                                         const Batch& batch, const PositionActivations& a,
                                         const float* dx, kernels::ThreadPool& pool) const {
  const int64_t tokens = batch.image_tokens();
  const int64_t width = config_.image.width;
  if (config_.resamples_positions()) {
    kernels::ResampledTableBackward({.tokens = tokens,
                                     .dim = width,
                                     .table_rows = config_.position_rows,
                                     .weights = a.weights,
                                     .dx = dx,
                                     .dtable = gradients + first_},
                                    pool);
  } else if (IsTable(config_.position)) {
    kernels::PositionTableBackward({.tokens = tokens,
                                    .dim = width,
                                    .table_rows = config_.position_rows,
                                    .combination = Combination(config_.position),
                                    .coordinates = a.coordinates,
                                    .row_table = parameters + first_,
                                    .column_table = parameters + second_,
                                    .dx = dx,
                                    .drow_table = gradients + first_,
                                    .dcolumn_table = gradients + second_},
                                   pool);
  } else if (config_.position == Image::FOURIER) {
    kernels::PositionWavesBackward({.tokens = tokens,
                                    .dim = width,
                                    .scale = 2 * std::numbers::pi_v<float>,
                                    .coordinates = a.coordinates,
                                    .frequencies = parameters + first_,
                                    .dx = dx,
                                    .dfrequencies = gradients + first_},
                                   pool);
  }
}

}  // namespace navit
