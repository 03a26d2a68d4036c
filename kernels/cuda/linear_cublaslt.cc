// cuBLASLt is column-major: a row-major matrix [rows, columns] is its matrix of columns × rows. So
// y = x·Wᵀ is asked for as yᵀ = W·xᵀ with yᵀ being out × rows.
#include <cublasLt.h>

#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "kernels/cuda/linear.h"

namespace navit::kernels::cuda {
namespace {

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

// What cuBLASLt knows of one product.
struct Plan {
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation;
  Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> a, b, d;
  cublasLtMatmulAlgo_t algorithm;
};

class Engine : public LinearEngine {
 public:
  Engine(cublasLtHandle_t handle, void* workspace, int64_t workspace_bytes)
      : handle_(handle),
        workspace_(workspace),
        workspace_bytes_(static_cast<size_t>(workspace_bytes)) {}

  LaunchError Forward(const LinearForwardArgs& args, Stream stream) override {
    const cublasLtEpilogue_t epilogue = args.pre_gelu != nullptr ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS
                                        : args.bias != nullptr   ? CUBLASLT_EPILOGUE_BIAS
                                                                 : CUBLASLT_EPILOGUE_DEFAULT;
    return Run({args.out, args.rows, args.in, CUBLAS_OP_T, CUBLAS_OP_N, args.in, args.in, args.out,
                CUDA_R_16BF, epilogue, args.accumulate},
               {args.weight, args.x, args.y, args.bias, args.pre_gelu}, stream);
  }

  LaunchError BackwardInput(const LinearBackwardInputArgs& args, Stream stream) override {
    const cublasLtEpilogue_t epilogue =
        args.pre_gelu != nullptr ? CUBLASLT_EPILOGUE_DGELU : CUBLASLT_EPILOGUE_DEFAULT;
    return Run({args.in, args.rows, args.out, CUBLAS_OP_N, CUBLAS_OP_N, args.in, args.out, args.in,
                CUDA_R_16BF, epilogue, args.accumulate},
               {args.weight, args.dy, args.dx, nullptr, const_cast<Bf16*>(args.pre_gelu)}, stream);
  }

  LaunchError BackwardWeight(const LinearBackwardWeightArgs& args, Stream stream) override {
    return Run({args.in, args.out, args.rows, CUBLAS_OP_N, CUBLAS_OP_T, args.in, args.out, args.in,
                CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT, true},
               {args.x, args.dy, args.dweight, nullptr, nullptr}, stream);
  }

  LaunchError Multiply(const ProductArgs& args, Stream stream) override {
    return Run(
        {args.columns, args.rows, args.depth, args.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
         args.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, args.b_stride, args.a_stride,
         args.to_stride, CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT, args.accumulate, args.factor},
        {args.b, args.a, args.to, nullptr, nullptr}, stream);
  }

 private:
  LaunchError Run(const Product& product, const Pointers& at, Stream stream) {
    // An empty sum or result changes nothing where it is added, and there is no other use of it.
    if (product.m == 0 || product.n == 0 || product.k == 0) return {};
    const auto found = plans_.find(product.Key());
    Plan* plan = found != plans_.end() ? &found->second : nullptr;
    if (plan == nullptr) {
      Plan made;
      if (const cublasStatus_t status = Make(product, at, made); status != CUBLAS_STATUS_SUCCESS) {
        return {kCublasErrors + status};
      }
      plan = &plans_.emplace(product.Key(), std::move(made)).first->second;
    }
    cublasStatus_t status = SetPointers(plan->operation.get(), at);
    const float beta = product.accumulate ? 1 : 0;
    if (status == CUBLAS_STATUS_SUCCESS) {
      status =
          cublasLtMatmul(handle_.get(), plan->operation.get(), &product.factor, at.a, plan->a.get(),
                         at.b, plan->b.get(), &beta, at.d, plan->d.get(), at.d, plan->d.get(),
                         &plan->algorithm, workspace_, workspace_bytes_, stream);
    }
    return {status == CUBLAS_STATUS_SUCCESS ? 0 : kCublasErrors + status};
  }

  static cublasStatus_t SetPointers(cublasLtMatmulDesc_t operation, const Pointers& at) {
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    if (at.bias != nullptr) {
      status = cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                              &at.bias, sizeof(at.bias));
    }
    if (status == CUBLAS_STATUS_SUCCESS && at.pre_gelu != nullptr) {
      status = cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER,
                                              &at.pre_gelu, sizeof(at.pre_gelu));
    }
    return status;
  }

  cublasStatus_t Make(const Product& product, const Pointers& at, Plan& plan) {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasStatus_t status = cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    plan.operation.reset(operation);
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      if (status != CUBLAS_STATUS_SUCCESS) return;
      status = cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value));
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, product.op_a);
    set(CUBLASLT_MATMUL_DESC_TRANSB, product.op_b);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, product.epilogue);
    if (at.pre_gelu != nullptr) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, product.m);
    if (status == CUBLAS_STATUS_SUCCESS) status = SetPointers(operation, at);
    const auto layout = [&](auto& owned, cudaDataType_t type, int64_t rows, int64_t columns,
                            int64_t leading) {
      if (status != CUBLAS_STATUS_SUCCESS) return;
      cublasLtMatrixLayout_t made = nullptr;
      status = cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(rows),
                                          static_cast<uint64_t>(columns), leading);
      owned.reset(made);
    };
    const bool t_a = product.op_a == CUBLAS_OP_T, t_b = product.op_b == CUBLAS_OP_T;
    layout(plan.a, CUDA_R_16BF, t_a ? product.k : product.m, t_a ? product.m : product.k,
           product.lda);
    layout(plan.b, CUDA_R_16BF, t_b ? product.n : product.k, t_b ? product.k : product.n,
           product.ldb);
    layout(plan.d, product.d_type, product.m, product.n, product.ldd);
    if (status != CUBLAS_STATUS_SUCCESS) return status;

    cublasLtMatmulPreference_t preference = nullptr;
    status = cublasLtMatmulPreferenceCreate(&preference);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> owned(preference);
    status =
        cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                             &workspace_bytes_, sizeof(workspace_bytes_));
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    cublasLtMatmulHeuristicResult_t result;
    int count = 0;
    status =
        cublasLtMatmulAlgoGetHeuristic(handle_.get(), operation, plan.a.get(), plan.b.get(),
                                       plan.d.get(), plan.d.get(), preference, 1, &result, &count);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (count == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    plan.algorithm = result.algo;
    return CUBLAS_STATUS_SUCCESS;
  }

  const Owned<cublasLtHandle_t, cublasLtDestroy> handle_;
  void* const workspace_;
  const size_t workspace_bytes_;
  std::map<decltype(std::declval<Product>().Key()), Plan> plans_;
};

}  // namespace

std::unique_ptr<LinearEngine> LinearEngine::Create(void* workspace, int64_t workspace_bytes) {
  cublasLtHandle_t handle = nullptr;
  if (cublasLtCreate(&handle) != CUBLAS_STATUS_SUCCESS) return nullptr;
  return std::make_unique<Engine>(handle, workspace, workspace_bytes);
}

}  // namespace navit::kernels::cuda
