#include <cmath>

#include "kernels/rope.h"

namespace navit::kernels {

void RopeTable(int64_t tokens, int64_t head_dim, const float* coordinates, float* cos_sin) {
  const int64_t pairs = head_dim / 2, by_axis = head_dim / 4;
  for (int64_t i = 0; i < pairs; ++i) {
    const double omega = std::pow(10000.0, -static_cast<double>(i % by_axis) / by_axis);
    const int64_t axis = i / by_axis;
    for (int64_t t = 0; t < tokens; ++t) {
      const double angle = coordinates[2 * t + axis] * omega;
      cos_sin[t * head_dim + i] = static_cast<float>(std::cos(angle));
      cos_sin[t * head_dim + pairs + i] = static_cast<float>(std::sin(angle));
    }
  }
}

namespace ref {

void Rope(const RopeArgs& args) {
  const int64_t pairs = args.head_dim / 2;
  for (int64_t t = 0; t < args.tokens; ++t) {
    const float* cosines = args.cos_sin + t * args.head_dim;
    const float* sines = cosines + pairs;
    // q and k of all heads lie one after the other.
    for (int64_t vector = 0; vector < 2 * args.heads; ++vector) {
      float* x = args.qkv + (t * 3 * args.heads + vector) * args.head_dim;
      for (int64_t i = 0; i < pairs; ++i) {
        const double a = x[i], b = x[i + pairs];
        const double sine = args.inverse ? -sines[i] : sines[i];
        x[i] = static_cast<float>(a * cosines[i] - b * sine);
        x[i + pairs] = static_cast<float>(b * cosines[i] + a * sine);
      }
    }
  }
}

}  // namespace ref
}  // namespace navit::kernels
