#include <cmath>
#include <vector>

#include "kernels/qk_norm.h"

namespace navit::kernels::ref {

void QkNormForward(const QkNormForwardArgs& args) {
  const int64_t head_dim = args.head_dim;
  for (int64_t t = 0; t < args.tokens; ++t) {
    for (int64_t part = 0; part < 3; ++part) {
      const float* gain = part == 0 ? args.q_gain : args.k_gain;
      for (int64_t h = 0; h < args.heads; ++h) {
        const float* x = args.qkv + ((t * 3 + part) * args.heads + h) * head_dim;
        float* y = args.normed + ((t * 3 + part) * args.heads + h) * head_dim;
        if (part == 2) {
          for (int64_t d = 0; d < head_dim; ++d) y[d] = x[d];
          continue;
        }
        double sum = 0;
        for (int64_t d = 0; d < head_dim; ++d) sum += static_cast<double>(x[d]) * x[d];
        const double inv_rms = 1 / std::sqrt(sum / head_dim + args.eps);
        for (int64_t d = 0; d < head_dim; ++d) y[d] = static_cast<float>(x[d] * inv_rms * gain[d]);
        if (args.inv_rms != nullptr) {
          args.inv_rms[(t * 2 + part) * args.heads + h] = static_cast<float>(inv_rms);
        }
      }
    }
  }
}

void QkNormBackward(const QkNormBackwardArgs& args) {
  const int64_t head_dim = args.head_dim;
  for (int64_t part = 0; part < 2; ++part) {
    const float* gain = part == 0 ? args.q_gain : args.k_gain;
    float* dgain = part == 0 ? args.dq_gain : args.dk_gain;
    std::vector<double> gain_sum(head_dim, 0);
    for (int64_t t = 0; t < args.tokens; ++t) {
      for (int64_t h = 0; h < args.heads; ++h) {
        const float* x = args.qkv + ((t * 3 + part) * args.heads + h) * head_dim;
        float* dx = args.dqkv + ((t * 3 + part) * args.heads + h) * head_dim;
        const double inv_rms = args.inv_rms[(t * 2 + part) * args.heads + h];
        double mean = 0;
        for (int64_t d = 0; d < head_dim; ++d) {
          mean += static_cast<double>(gain[d]) * dx[d] * x[d] * inv_rms;
          gain_sum[d] += static_cast<double>(dx[d]) * x[d] * inv_rms;
        }
        mean /= head_dim;
        for (int64_t d = 0; d < head_dim; ++d) {
          dx[d] = static_cast<float>(
              inv_rms * (static_cast<double>(gain[d]) * dx[d] - x[d] * inv_rms * mean));
        }
      }
    }
    for (int64_t d = 0; d < head_dim; ++d) dgain[d] += static_cast<float>(gain_sum[d]);
  }
}

}  // namespace navit::kernels::ref
