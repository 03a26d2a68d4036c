#include "kernels/cuda/linear_candidates.h"

#include <algorithm>

#include "kernels/cuda/cublaslt_product.h"

namespace navit::kernels::cuda {

std::vector<LinearAlgorithm> LinearCandidates(const LinearShape& shape, void* memory,
                                              int64_t workspace_bytes, int most) {
  cublasLtHandle_t created = nullptr;
  if (cublasLtCreate(&created) != CUBLAS_STATUS_SUCCESS) return {};
  const OwnedHandle handle(created);
  const Product product = ProductOf(shape);
  const bool gelu = shape.epilogue == LinearEpilogue::kGeluBias ||
                    shape.epilogue == LinearEpilogue::kGeluGradient;
  const bool bias =
      shape.epilogue == LinearEpilogue::kGeluBias || shape.epilogue == LinearEpilogue::kBias;
  const Pointers at = {memory, memory, memory, bias ? memory : nullptr, gelu ? memory : nullptr};
  ProductLayout layout;
  if (MakeLayout(product, at, layout) != CUBLAS_STATUS_SUCCESS) return {};
  const auto bytes = static_cast<size_t>(workspace_bytes);
  std::vector<cublasLtMatmulAlgo_t> proposed;
  if (ProposeAlgorithms(handle.get(), layout, bytes, kReductionComputeType, most, proposed) !=
      CUBLAS_STATUS_SUCCESS) {
    return {};
  }
  std::vector<LinearAlgorithm> candidates;
  for (const cublasLtMatmulAlgo_t& algorithm : proposed) {
    LinearAlgorithm candidate;
    cublasLtMatmulAlgo_t anew;
    if (ReadConfiguration(algorithm, candidate) != CUBLAS_STATUS_SUCCESS ||
        !IsReproducible(candidate) ||
        // They may differ in what is no attribute.
        std::find(candidates.begin(), candidates.end(), candidate) != candidates.end() ||
        MakeAlgorithm(handle.get(), product, layout, bytes, candidate, anew) !=
            CUBLAS_STATUS_SUCCESS) {
      continue;
    }
    candidates.push_back(candidate);
  }
  return candidates;
}

}  // namespace navit::kernels::cuda
