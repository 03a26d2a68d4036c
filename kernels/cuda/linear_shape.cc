#include "kernels/cuda/linear.h"

namespace navit::kernels::cuda {

LinearShape ShapeOf(const LinearForwardArgs& args) {
  const LinearEpilogue epilogue = args.pre_gelu != nullptr ? LinearEpilogue::kGeluBias
                                  : args.bias != nullptr   ? LinearEpilogue::kBias
                                                           : LinearEpilogue::kNone;
  return {LinearPass::kForward, epilogue, args.accumulate, args.rows, args.in, args.out};
}

LinearShape ShapeOf(const LinearBackwardInputArgs& args) {
  const LinearEpilogue epilogue =
      args.pre_gelu != nullptr ? LinearEpilogue::kGeluGradient : LinearEpilogue::kNone;
  return {LinearPass::kBackwardInput, epilogue, args.accumulate, args.rows, args.in, args.out};
}

LinearShape ShapeOf(const LinearBackwardWeightArgs& args) {
  return {LinearPass::kBackwardWeight, LinearEpilogue::kNone, true, args.rows, args.in, args.out};
}

}  // namespace navit::kernels::cuda
