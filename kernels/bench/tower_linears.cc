#include "kernels/bench/tower_linears.h"

#include <algorithm>
#include <initializer_list>

namespace navit::kernels::cuda {

std::vector<LinearShape> TowerLinears(int64_t tokens, int64_t width, int64_t mlp,
                                      int64_t patch_values) {
  using enum LinearEpilogue;
  using enum LinearPass;
  std::vector<LinearShape> shapes;
  const auto add = [&](int64_t in, int64_t out, LinearPass pass,
                       std::initializer_list<LinearEpilogue> epilogues,
                       std::initializer_list<bool> accumulate) {
    for (const LinearEpilogue epilogue : epilogues) {
      for (const bool accumulates : accumulate) {
        const LinearShape shape = {pass, epilogue, accumulates, tokens, in, out};
        if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) {
          shapes.push_back(shape);
        }
      }
    }
  };
  const auto backward = [&](int64_t in, int64_t out) {
    add(in, out, kBackwardInput, {kNone}, {false});
    add(in, out, kBackwardWeight, {kNone}, {true});
  };
  // QKV.
  add(width, 3 * width, kForward, {kNone, kBias}, {false});
  backward(width, 3 * width);
  // Projection.
  add(width, width, kForward, {kNone, kBias}, {false, true});
  backward(width, width);
  // MLP. GELU by erf takes a pass of its own.
  add(width, mlp, kForward, {kGeluBias, kNone}, {false});
  backward(width, mlp);
  add(mlp, width, kForward, {kBias}, {false, true});
  add(mlp, width, kBackwardInput, {kGeluGradient}, {false});
  backward(mlp, width);
  // Keys and values of attention pooling.
  add(width, 2 * width, kForward, {kNone, kBias}, {false});
  backward(width, 2 * width);
  // Patches.
  add(patch_values, width, kForward, {kNone, kBias}, {false});
  add(patch_values, width, kBackwardWeight, {kNone}, {true});
  return shapes;
}

}  // namespace navit::kernels::cuda
