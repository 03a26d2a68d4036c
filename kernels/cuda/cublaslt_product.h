// A product as cuBLASLt is asked for it: the engine runs it, linear_candidates.h looks for its
// algorithms. cuBLASLt is column-major: a row-major matrix [rows, columns] is its matrix of
// columns × rows. So y = x·Wᵀ is asked for as yᵀ = W·xᵀ with yᵀ being out × rows.
#ifndef NAVIT_KERNELS_CUDA_CUBLASLT_PRODUCT_H_
#define NAVIT_KERNELS_CUDA_CUBLASLT_PRODUCT_H_

#include <cublasLt.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include "kernels/cuda/linear_choices.h"

namespace navit::kernels::cuda {

// D [m, n] = factor·op(A)·op(B) (+ D), as cuBLASLt sees it.
struct Product {
  int64_t m, n, k;
  cublasOperation_t op_a, op_b;
  int64_t lda, ldb, ldd;
  cudaDataType_t d_type;
  cublasLtEpilogue_t epilogue;
  bool accumulate;
  float factor = 1;  // not part of a plan
  auto Key() const {
    return std::make_tuple(m, n, k, op_a, op_b, lda, ldb, ldd, d_type, epilogue, accumulate);
  }
};
Product ProductOf(const LinearShape& shape);

struct Pointers {
  const void *a, *b;
  void* d;
  const void* bias;
  void* pre_gelu;
};

template <typename T, cublasStatus_t (*kDestroy)(T)>
struct Destroyer {
  using pointer = T;
  void operator()(T handle) const { kDestroy(handle); }
};
template <typename T, cublasStatus_t (*kDestroy)(T)>
using Owned = std::unique_ptr<T, Destroyer<T, kDestroy>>;
using OwnedHandle = Owned<cublasLtHandle_t, cublasLtDestroy>;

// What cuBLASLt knows of a product.
struct ProductLayout {
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation;
  Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> a, b, d;
};
cublasStatus_t MakeLayout(const Product& product, const Pointers& at, ProductLayout& layout);
// Of the epilogue, which is part of the operation.
cublasStatus_t SetPointers(const ProductLayout& layout, const Pointers& at);

// At most `most` algorithms, by the heuristic's estimate of their time, that need no more workspace
// and split sums by no other than these schemes. NOT_SUPPORTED: there is none.
cublasStatus_t ProposeAlgorithms(cublasLtHandle_t handle, const ProductLayout& layout,
                                 size_t workspace_bytes, uint32_t reductions, int most,
                                 std::vector<cublasLtMatmulAlgo_t>& algorithms);

// The algorithm of that configuration, where cuBLASLt accepts it for the product and workspace.
cublasStatus_t MakeAlgorithm(cublasLtHandle_t handle, const Product& product,
                             const ProductLayout& layout, size_t workspace_bytes,
                             const LinearAlgorithm& configuration, cublasLtMatmulAlgo_t& algorithm);
cublasStatus_t ReadConfiguration(const cublasLtMatmulAlgo_t& algorithm,
                                 LinearAlgorithm& configuration);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_CUBLASLT_PRODUCT_H_
