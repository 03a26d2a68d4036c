// Position embeddings of the image tower on a GPU. The lists of rows, the angles, coordinates and
// weights come with the batch.
#ifndef NAVIT_WORKER_MODEL_DEVICE_POSITION_EMBEDDING_H_
#define NAVIT_WORKER_MODEL_DEVICE_POSITION_EMBEDDING_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/model/arena.h"
#include "worker/model/device/ops.h"
#include "worker/model/parameters.h"
#include "worker/model/position_embedding.h"

namespace navit {

template <>
class PositionEmbedding<DeviceOps> {
 public:
  struct Activations {
    const float* rope = nullptr;  // of the batch
  };

  explicit PositionEmbedding(const ParameterTable& table);

  Activations LayOut(const DeviceBatch& batch, Arena* /*arena*/) const { return {batch.rope}; }
  // Adds to x [T, D].
  void Forward(const float* parameters, const DeviceBatch& batch, const Activations& activations,
               kernels::cuda::Bf16* x, DeviceContext& context) const;
  // Adds to `gradients`, from dx [T, D], the gradient with respect to the result of Forward.
  void Backward(const float* parameters, float* gradients, const DeviceBatch& batch,
                const Activations& activations, const kernels::cuda::Bf16* dx,
                DeviceContext& context) const;

 private:
  // A table adds to `part` of the `width` numbers of a token, from `begin` on.
  struct Table {
    size_t offset = 0;  // in the flat array
    int64_t begin = 0;
  };
  void BackwardProduct(const float* parameters, float* gradients, const DeviceBatch& batch,
                       const kernels::cuda::Bf16* dx, DeviceContext& context) const;

  v1::ImageTowerSpec::PositionEmbedding kind_;
  bool resamples_;
  int64_t width_, part_, table_rows_;
  std::vector<Table> tables_;  // or the one of learned frequencies
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_POSITION_EMBEDDING_H_
