// The sigmoid contrastive loss (SigLIP, arXiv 2303.15343) on one rank's strip of the N×N matrix of
// scores z[i, j] = scale·(x[i]·y[j]) + bias, which never exists as a whole:
//   L = weight·Σ_ij [softplus(z[i, j]) − t[i, j]·z[i, j]] over the pairs that count,
// with targets t = 1 − smoothing/2 for positives and smoothing/2 for the others. Every pair is its
// own classification, so one pass gives the loss and all gradients, and nothing is merged over
// ranks before it.
#ifndef NAVIT_KERNELS_SIGMOID_CONTRASTIVE_H_
#define NAVIT_KERNELS_SIGMOID_CONTRASTIVE_H_

#include <cstdint>

#include "kernels/contrastive.h"
#include "kernels/thread_pool.h"

namespace navit::kernels {

// With g = weight·(σ(z) − t) for pairs that count and 0 for the others:
//   dx[i] = scale·Σ_j g·y[j]   assigned;  dy[j] = scale·Σ_i g·x[i]   assigned (this rank's part)
//   *dscale = Σ g·(x[i]·y[j]), *dbias = Σ g, *loss: this rank's part of L; assigned
// The strip is that of the softmax loss (contrastive.h); its share and smoothing arrays are not
// read. Memory beside the arguments: one tile of 4 MiB and O(columns) for hashes. The order of
// every sum depends on the strip alone. Safe for any finite score: softplus and σ never overflow.
// Tolerance of _cpu against _ref: 1e-5 relative to the largest term.
struct SigmoidContrastiveArgs {
  ContrastiveStrip strip;
  float bias = 0;
  float smoothing = 0;  // in [0, 1)
  double weight = 0;    // 1/N for the mean over examples
  float* dx = nullptr;  // [rows, dim]
  float* dy = nullptr;  // [columns, dim]
  double* loss = nullptr;
  double* dscale = nullptr;
  double* dbias = nullptr;
};

void SigmoidContrastive(const SigmoidContrastiveArgs& args, ThreadPool& pool);

namespace ref {
void SigmoidContrastive(const SigmoidContrastiveArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_SIGMOID_CONTRASTIVE_H_
