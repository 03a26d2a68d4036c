#include "worker/model/device/position_embedding.h"

#include "kernels/cuda/position_table.h"

namespace navit {

using Image = v1::ImageTowerSpec;

PositionEmbedding<DeviceOps>::PositionEmbedding(const ParameterTable& table)
    : width_(table.config().image.width), part_(width_) {
  switch (table.config().position) {
    case Image::JOINT:
      tables_ = {{table.Find("image.position.table").offset}};
      return;
    case Image::FACTORIZED_STACK:
      part_ = width_ / 2;
      [[fallthrough]];
    case Image::FACTORIZED_SUM:
      tables_ = {{table.Find("image.position.row").offset},
                 {table.Find("image.position.column").offset, width_ - part_}};
      return;
    default:
      // RoPE has none; what is not on a GPU yet is refused with the first batch.
      return;
  }
}

void PositionEmbedding<DeviceOps>::Forward(const float* parameters, const DeviceBatch& batch,
                                           const Activations& /*activations*/,
                                           kernels::cuda::Bf16* x, DeviceContext& context) const {
  for (size_t i = 0; i < tables_.size() && context.ok(); ++i) {
    context.Keep("position table",
                 kernels::cuda::PositionTableForward({.tokens = batch.image_tokens(),
                                                      .dim = part_,
                                                      .stride = width_,
                                                      .offset = tables_[i].begin,
                                                      .taps = batch.positions[i].taps,
                                                      .table = parameters + tables_[i].offset,
                                                      .x = x},
                                                     context.stream()));
  }
}

void PositionEmbedding<DeviceOps>::Backward(const float* /*parameters*/, float* gradients,
                                            const DeviceBatch& batch,
                                            const Activations& /*activations*/,
                                            const kernels::cuda::Bf16* dx,
                                            DeviceContext& context) const {
  for (size_t i = 0; i < tables_.size(); ++i) {
    DeviceOps::Scatter(batch.positions[i].scatter, part_, dx + tables_[i].begin, width_,
                       gradients + tables_[i].offset, context);
  }
}

}  // namespace navit
