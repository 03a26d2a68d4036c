// Classification losses over K classes, one label per row, with targets
//   t[r, j] = (1 − smoothing)·[j = label[r]] + smoothing/K.
//   softmax: L = weight·Σ_r [ln Σ_j e^z[r, j] − Σ_j t[r, j]·z[r, j]]
//   sigmoid: L = weight·Σ_r Σ_j [softplus(z[r, j]) − t[r, j]·z[r, j]]   (NaViT, arXiv 2307.06304:
//            every class is a question of its own)
#ifndef NAVIT_KERNELS_CLASSIFICATION_H_
#define NAVIT_KERNELS_CLASSIFICATION_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// *loss is L, dlogits its gradient: weight·(softmax(z) − t) or weight·(σ(z) − t); both assigned.
// dlogits may alias logits. Safe for any finite logits. The order of every sum depends on K alone,
// within a row, and the rows are added in order.
// Tolerance of _cpu against _ref: 1e-5 relative to the largest term.
struct ClassificationArgs {
  int64_t rows = 0, classes = 0;
  const float* logits = nullptr;   // [rows, classes]
  const int32_t* label = nullptr;  // [rows], in [0, classes)
  float smoothing = 0;             // in [0, 1)
  double weight = 0;               // 1/N for the mean over examples
  float* dlogits = nullptr;        // [rows, classes]
  double* loss = nullptr;
};

void SoftmaxClassification(const ClassificationArgs& args, ThreadPool& pool);
void SigmoidClassification(const ClassificationArgs& args, ThreadPool& pool);

namespace ref {
void SoftmaxClassification(const ClassificationArgs& args);
void SigmoidClassification(const ClassificationArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_CLASSIFICATION_H_
