#include "kernels/linear.h"

namespace navit::kernels::ref {

void LinearForward(const LinearForwardArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t o = 0; o < args.out; ++o) {
      double sum = args.bias != nullptr ? args.bias[o] : 0.0;
      for (int64_t i = 0; i < args.in; ++i) {
        sum += static_cast<double>(args.x[r * args.in + i]) * args.weight[o * args.in + i];
      }
      float& y = args.y[r * args.out + o];
      y = static_cast<float>(args.accumulate ? y + sum : sum);
    }
  }
}

void LinearBackwardInput(const LinearBackwardInputArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    for (int64_t i = 0; i < args.in; ++i) {
      double sum = 0;
      for (int64_t o = 0; o < args.out; ++o) {
        sum += static_cast<double>(args.dy[r * args.out + o]) * args.weight[o * args.in + i];
      }
      float& dx = args.dx[r * args.in + i];
      dx = static_cast<float>(args.accumulate ? dx + sum : sum);
    }
  }
}

void LinearBackwardWeight(const LinearBackwardWeightArgs& args) {
  for (int64_t o = 0; o < args.out; ++o) {
    for (int64_t i = 0; i < args.in; ++i) {
      double sum = 0;
      for (int64_t r = 0; r < args.rows; ++r) {
        sum += static_cast<double>(args.dy[r * args.out + o]) * args.x[r * args.in + i];
      }
      args.dweight[o * args.in + i] += static_cast<float>(sum);
    }
    if (args.dbias == nullptr) continue;
    double sum = 0;
    for (int64_t r = 0; r < args.rows; ++r) sum += args.dy[r * args.out + o];
    args.dbias[o] += static_cast<float>(sum);
  }
}

}  // namespace navit::kernels::ref
