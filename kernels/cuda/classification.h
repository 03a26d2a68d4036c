// classification.h (kernels/) on a GPU.
#ifndef NAVIT_KERNELS_CUDA_CLASSIFICATION_H_
#define NAVIT_KERNELS_CUDA_CLASSIFICATION_H_

#include <cstdint>

#include "kernels/cuda/bf16.h"
#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda {

// As kernels/classification.h with logits and dlogits [rows, classes] in bf16, sums in fp32, the
// loss in double; dlogits may alias logits. Device memory, 16-byte aligned. The order of the sums
// depends on the shape alone. Tolerance against _ref on the same bf16 logits: 1e-5 of the largest
// term for the loss, 2^-8 relative for dlogits.
struct ClassificationArgs {
  int64_t rows = 0, classes = 0;
  const Bf16* logits = nullptr;
  const int32_t* label = nullptr;  // [rows], in [0, classes)
  float smoothing = 0;             // in [0, 1)
  double weight = 0;               // 1/N for the mean over examples
  Bf16* dlogits = nullptr;
  double* loss = nullptr;     // one value, assigned
  float* row_loss = nullptr;  // working memory, [rows]
};

LaunchError SoftmaxClassification(const ClassificationArgs& args, Stream stream);
LaunchError SigmoidClassification(const ClassificationArgs& args, Stream stream);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_CLASSIFICATION_H_
