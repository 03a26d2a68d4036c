#include "worker/model/device/position_embedding.h"

#include <numbers>

#include "kernels/cuda/position_table.h"
#include "kernels/cuda/position_waves.h"
#include "kernels/cuda/resampled_table.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;
namespace cuda = kernels::cuda;

constexpr float kFullTurn = 2 * std::numbers::pi_v<float>;

}  // namespace

PositionEmbedding<DeviceOps>::PositionEmbedding(const ParameterTable& table)
    : kind_(table.config().position),
      resamples_(table.config().resamples_positions()),
      width_(table.config().image.width),
      part_(width_),
      table_rows_(table.config().position_rows) {
  switch (kind_) {
    case Image::ROPE:
    case Image::SINUSOIDAL:
      return;
    case Image::FOURIER:
      tables_ = {{table.Find("image.position.frequencies").offset}};
      return;
    case Image::JOINT:
      tables_ = {{table.Find("image.position.table").offset}};
      return;
    case Image::FACTORIZED_STACK:
      part_ = width_ / 2;
      [[fallthrough]];
    default:
      tables_ = {{table.Find("image.position.row").offset},
                 {table.Find("image.position.column").offset, width_ - part_}};
  }
}

void PositionEmbedding<DeviceOps>::Forward(const float* parameters, const DeviceBatch& batch,
                                           const Activations& /*activations*/, cuda::Bf16* x,
                                           DeviceContext& context) const {
  const int64_t tokens = batch.image_tokens();
  if (resamples_) {
    return context.Run("resampled table", cuda::ResampledTableForward,
                       {.tokens = tokens,
                        .dim = width_,
                        .table_rows = table_rows_,
                        .weights = batch.position_weights,
                        .table = parameters + tables_[0].offset,
                        .x = x});
  }
  if (batch.coordinates != nullptr) {
    const bool learned = kind_ == Image::FOURIER;
    return context.Run("position waves", cuda::PositionWavesForward,
                       {.tokens = tokens,
                        .dim = width_,
                        .scale = learned ? kFullTurn : 1.0f,
                        .coordinates = batch.coordinates,
                        .frequencies = learned ? parameters + tables_[0].offset : batch.frequencies,
                        .x = x});
  }
  if (kind_ == Image::FACTORIZED_PRODUCT) {
    return context.Run("product of position tables", cuda::PositionProductForward,
                       {.tokens = tokens,
                        .dim = width_,
                        .row_taps = batch.positions[0].taps,
                        .column_taps = batch.positions[1].taps,
                        .row_table = parameters + tables_[0].offset,
                        .column_table = parameters + tables_[1].offset,
                        .x = x});
  }
  for (size_t i = 0; i < tables_.size(); ++i) {
    context.Run("position table", cuda::PositionTableForward,
                {.tokens = tokens,
                 .dim = part_,
                 .stride = width_,
                 .offset = tables_[i].begin,
                 .taps = batch.positions[i].taps,
                 .table = parameters + tables_[i].offset,
                 .x = x});
  }
}

void PositionEmbedding<DeviceOps>::Backward(const float* parameters, float* gradients,
                                            const DeviceBatch& batch,
                                            const Activations& /*activations*/,
                                            const cuda::Bf16* dx, DeviceContext& context) const {
  const int64_t tokens = batch.image_tokens();
  if (resamples_) {
    return context.Run("gradient of a resampled table", cuda::ResampledTableBackward,
                       {.tokens = tokens,
                        .dim = width_,
                        .table_rows = table_rows_,
                        .weights = batch.position_weights,
                        .dx = dx,
                        .dtable = gradients + tables_[0].offset});
  }
  if (kind_ == Image::FOURIER) {
    float* const partial = context.Scratch<float>(cuda::WavesSlabs(tokens) * width_);
    return context.Run("gradient of position waves", cuda::PositionWavesBackward,
                       {.tokens = tokens,
                        .dim = width_,
                        .scale = kFullTurn,
                        .coordinates = batch.coordinates,
                        .frequencies = parameters + tables_[0].offset,
                        .dx = dx,
                        .dfrequencies = gradients + tables_[0].offset,
                        .partial = partial});
  }
  if (kind_ == Image::FACTORIZED_PRODUCT) {
    return BackwardProduct(parameters, gradients, batch, dx, context);
  }
  for (size_t i = 0; i < tables_.size(); ++i) {
    DeviceOps::Scatter(batch.positions[i].scatter, part_, dx + tables_[i].begin, width_,
                       gradients + tables_[i].offset, context);
  }
}

void PositionEmbedding<DeviceOps>::BackwardProduct(const float* parameters, float* gradients,
                                                   const DeviceBatch& batch, const cuda::Bf16* dx,
                                                   DeviceContext& context) const {
  auto* const factor = context.Scratch<cuda::Bf16>(batch.image_tokens() * width_);
  for (int axis = 0; axis < 2; ++axis) {
    // Of the one table by the values of the other.
    context.Run("gradient of a product of tables", cuda::PositionProductBackward,
                {.tokens = batch.image_tokens(),
                 .dim = width_,
                 .taps = batch.positions[1 - axis].taps,
                 .table = parameters + tables_[1 - axis].offset,
                 .dx = dx,
                 .da = factor});
    DeviceOps::Scatter(batch.positions[axis].scatter, width_, factor, width_,
                       gradients + tables_[axis].offset, context);
  }
}

}  // namespace navit
