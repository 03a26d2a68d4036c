// Which of cuBLASLt's algorithms the products of linear layers take, where a measurement chose them
// (kernels/bench/linear_tune.cc). linear_choices_file.h reads and writes them.
#ifndef NAVIT_KERNELS_CUDA_LINEAR_CHOICES_H_
#define NAVIT_KERNELS_CUDA_LINEAR_CHOICES_H_

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace navit::kernels::cuda {

enum class LinearPass { kForward, kBackwardInput, kBackwardWeight };

// kBias and kGeluBias belong to the forward pass, kGeluGradient to the gradient of the input.
enum class LinearEpilogue { kNone, kBias, kGeluBias, kGeluGradient };

// A product of linear.h, but for where its matrices are: rows, in and out are the m, n and k of
// GEMM, in the order that the pass gives them.
struct LinearShape {
  LinearPass pass = LinearPass::kForward;
  LinearEpilogue epilogue = LinearEpilogue::kNone;
  bool accumulate = false;
  int64_t rows = 0, in = 0, out = 0;
  auto operator<=>(const LinearShape&) const = default;
};

// The configuration of a cublasLtMatmulAlgo_t: its CUBLASLT_ALGO_CONFIG_ attributes.
struct LinearAlgorithm {
  int32_t id = 0;
  uint32_t tile = 0, stages = 0;
  int32_t split_k = 1;
  uint32_t reduction = 0;
  uint32_t swizzle = 0, custom_option = 0;
  uint16_t inner_shape = 0, cluster_shape = 0;
  bool operator==(const LinearAlgorithm&) const = default;
};

// Of cublasLtReductionScheme_t.
inline constexpr uint32_t kReductionNone = 0, kReductionComputeType = 2;

// Whether it gives the same bits in every run, from sums in fp32 alone: the sum is not split, or
// its parts wait in the workspace, as fp32, for a kernel that adds them in order. The other schemes
// round the parts to the type of the result, and one of them adds them as blocks end.
bool IsReproducible(const LinearAlgorithm& algorithm);

// What a measurement holds for.
struct LinearDevice {
  std::string name, capability;  // as in "NVIDIA H200", "9.0"
  int64_t cublaslt = 0;          // cublasLtGetVersion
  bool operator==(const LinearDevice&) const = default;
};

struct LinearChoice {
  LinearShape shape;
  LinearAlgorithm algorithm;
  // Medians when it was chosen: of the heuristic's first algorithm, and of this one.
  double first_seconds = 0, chosen_seconds = 0;
  bool operator==(const LinearChoice&) const = default;
};

struct LinearChoices {
  LinearDevice device;
  std::vector<LinearChoice> choices;
  bool operator==(const LinearChoices&) const = default;
};

// The choice for a product, or null. All of its shape must agree but the rows: these are the tokens
// of a micro-batch, which differ from step to step and lie a little below its limit, so that the
// choice with the nearest ratio of rows serves, up to a factor of 2; of two as near, the one with
// fewer rows. Whether cuBLASLt accepts the algorithm there is for the caller to check.
const LinearChoice* FindLinearChoice(const LinearChoices& choices, const LinearShape& shape);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_LINEAR_CHOICES_H_
