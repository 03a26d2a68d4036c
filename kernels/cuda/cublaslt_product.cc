#include "kernels/cuda/cublaslt_product.h"

namespace navit::kernels::cuda {
namespace {

static_assert(kReductionNone == CUBLASLT_REDUCTION_SCHEME_NONE);
static_assert(kReductionComputeType == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);

constexpr cublasComputeType_t kCompute = CUBLAS_COMPUTE_32F;
constexpr cudaDataType_t kScale = CUDA_R_32F;
constexpr cudaDataType_t kInput = CUDA_R_16BF;

cublasLtEpilogue_t EpilogueOf(LinearEpilogue epilogue) {
  switch (epilogue) {
    case LinearEpilogue::kNone:
      return CUBLASLT_EPILOGUE_DEFAULT;
    case LinearEpilogue::kBias:
      return CUBLASLT_EPILOGUE_BIAS;
    case LinearEpilogue::kGeluBias:
      return CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case LinearEpilogue::kGeluGradient:
      return CUBLASLT_EPILOGUE_DGELU;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// call(attribute, value) for each attribute of a configuration, all but its id, until one fails.
template <typename Configuration, typename Call>
cublasStatus_t ForEachAttribute(Configuration& configuration, const Call& call) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  const auto next = [&](cublasLtMatmulAlgoConfigAttributes_t attribute, auto& value) {
    if (status == CUBLAS_STATUS_SUCCESS) status = call(attribute, value);
  };
  next(CUBLASLT_ALGO_CONFIG_TILE_ID, configuration.tile);
  next(CUBLASLT_ALGO_CONFIG_STAGES_ID, configuration.stages);
  next(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, configuration.split_k);
  next(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, configuration.reduction);
  next(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, configuration.swizzle);
  next(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, configuration.custom_option);
  next(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, configuration.inner_shape);
  next(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, configuration.cluster_shape);
  return status;
}

}  // namespace

Product ProductOf(const LinearShape& shape) {
  const int64_t rows = shape.rows, in = shape.in, out = shape.out;
  const cublasLtEpilogue_t epilogue = EpilogueOf(shape.epilogue);
  switch (shape.pass) {
    case LinearPass::kForward:
      return {out, rows, in,          CUBLAS_OP_T, CUBLAS_OP_N,     in,
              in,  out,  CUDA_R_16BF, epilogue,    shape.accumulate};
    case LinearPass::kBackwardInput:
      return {in,  rows, out,         CUBLAS_OP_N, CUBLAS_OP_N,     in,
              out, in,   CUDA_R_16BF, epilogue,    shape.accumulate};
    case LinearPass::kBackwardWeight:
      break;
  }
  return {in,  out, rows,       CUBLAS_OP_N, CUBLAS_OP_T,     in,
          out, in,  CUDA_R_32F, epilogue,    shape.accumulate};
}

cublasStatus_t SetPointers(const ProductLayout& layout, const Pointers& at) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (at.bias != nullptr) {
    status = cublasLtMatmulDescSetAttribute(
        layout.operation.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &at.bias, sizeof(at.bias));
  }
  if (status == CUBLAS_STATUS_SUCCESS && at.pre_gelu != nullptr) {
    status = cublasLtMatmulDescSetAttribute(layout.operation.get(),
                                            CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &at.pre_gelu,
                                            sizeof(at.pre_gelu));
  }
  return status;
}

cublasStatus_t MakeLayout(const Product& product, const Pointers& at, ProductLayout& layout) {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasStatus_t status = cublasLtMatmulDescCreate(&operation, kCompute, kScale);
  layout.operation.reset(operation);
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    if (status != CUBLAS_STATUS_SUCCESS) return;
    status = cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value));
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, product.op_a);
  set(CUBLASLT_MATMUL_DESC_TRANSB, product.op_b);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, product.epilogue);
  if (at.pre_gelu != nullptr) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, product.m);
  if (status == CUBLAS_STATUS_SUCCESS) status = SetPointers(layout, at);
  const auto make = [&](auto& owned, cudaDataType_t type, int64_t rows, int64_t columns,
                        int64_t leading) {
    if (status != CUBLAS_STATUS_SUCCESS) return;
    cublasLtMatrixLayout_t made = nullptr;
    status = cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(rows),
                                        static_cast<uint64_t>(columns), leading);
    owned.reset(made);
  };
  const bool t_a = product.op_a == CUBLAS_OP_T, t_b = product.op_b == CUBLAS_OP_T;
  make(layout.a, kInput, t_a ? product.k : product.m, t_a ? product.m : product.k, product.lda);
  make(layout.b, kInput, t_b ? product.n : product.k, t_b ? product.k : product.n, product.ldb);
  make(layout.d, product.d_type, product.m, product.n, product.ldd);
  return status;
}

cublasStatus_t ProposeAlgorithms(cublasLtHandle_t handle, const ProductLayout& layout,
                                 size_t workspace_bytes, uint32_t reductions, int most,
                                 std::vector<cublasLtMatmulAlgo_t>& algorithms) {
  cublasLtMatmulPreference_t preference = nullptr;
  cublasStatus_t status = cublasLtMatmulPreferenceCreate(&preference);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> owned(preference);
  status =
      cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                           &workspace_bytes, sizeof(workspace_bytes));
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  status = cublasLtMatmulPreferenceSetAttribute(
      preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof(reductions));
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  std::vector<cublasLtMatmulHeuristicResult_t> results(most);
  int count = 0;
  status = cublasLtMatmulAlgoGetHeuristic(handle, layout.operation.get(), layout.a.get(),
                                          layout.b.get(), layout.d.get(), layout.d.get(),
                                          preference, most, results.data(), &count);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  for (int i = 0; i < count; ++i) {
    if (results[i].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(results[i].algo);
  }
  return algorithms.empty() ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t MakeAlgorithm(cublasLtHandle_t handle, const Product& product,
                             const ProductLayout& layout, size_t workspace_bytes,
                             const LinearAlgorithm& configuration,
                             cublasLtMatmulAlgo_t& algorithm) {
  cublasStatus_t status =
      cublasLtMatmulAlgoInit(handle, kCompute, kScale, kInput, kInput, product.d_type,
                             product.d_type, configuration.id, &algorithm);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  status = ForEachAttribute(
      configuration, [&](cublasLtMatmulAlgoConfigAttributes_t attribute, const auto& value) {
        return cublasLtMatmulAlgoConfigSetAttribute(&algorithm, attribute, &value, sizeof(value));
      });
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  cublasLtMatmulHeuristicResult_t result = {};
  status = cublasLtMatmulAlgoCheck(handle, layout.operation.get(), layout.a.get(), layout.b.get(),
                                   layout.d.get(), layout.d.get(), &algorithm, &result);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return result.workspaceSize <= workspace_bytes ? CUBLAS_STATUS_SUCCESS
                                                 : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t ReadConfiguration(const cublasLtMatmulAlgo_t& algorithm,
                                 LinearAlgorithm& configuration) {
  const auto get = [&](cublasLtMatmulAlgoConfigAttributes_t attribute, auto& value) {
    size_t written = 0;
    return cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof(value),
                                                &written);
  };
  const cublasStatus_t status = get(CUBLASLT_ALGO_CONFIG_ID, configuration.id);
  return status == CUBLAS_STATUS_SUCCESS ? ForEachAttribute(configuration, get) : status;
}

}  // namespace navit::kernels::cuda
