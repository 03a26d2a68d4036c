// The functions of cuBLASLt that this package calls: each hands on to the library, which is
// loaded by the first. Linked, the library would count its 92 KiB of thread-local storage against
// the stack of every thread of the process, and civetweb's stacks have 100 KiB; and a trainer for
// CPUs would need it to start.
//
// Without the library, or without the function in it: CUBLAS_STATUS_NOT_INITIALIZED, and version 0.
#include <cublasLt.h>
#include <dlfcn.h>

#define NAVIT_STRING(text) #text
#define NAVIT_LIBRARY(major) "libcublasLt.so." NAVIT_STRING(major)

namespace {

void* Library() {
  static void* const library = dlopen(NAVIT_LIBRARY(CUBLAS_VER_MAJOR), RTLD_NOW | RTLD_LOCAL);
  return library;
}

template <typename Function>
Function* Find(const char* name) {
  return Library() == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(Library(), name));
}

}  // namespace

#define NAVIT_HAND_ON(name, parameters, arguments)                                   \
  cublasStatus_t name parameters {                                                   \
    static auto* const function = Find<decltype(name)>(#name);                       \
    return function == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : function arguments; \
  }

extern "C" {

size_t cublasLtGetVersion() {
  static auto* const function = Find<decltype(cublasLtGetVersion)>("cublasLtGetVersion");
  return function == nullptr ? 0 : function();
}

NAVIT_HAND_ON(cublasLtCreate, (cublasLtHandle_t * handle), (handle))
NAVIT_HAND_ON(cublasLtDestroy, (cublasLtHandle_t handle), (handle))

NAVIT_HAND_ON(cublasLtMatmulDescCreate,
              (cublasLtMatmulDesc_t * made, cublasComputeType_t compute, cudaDataType_t scale),
              (made, compute, scale))
NAVIT_HAND_ON(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t operation), (operation))
NAVIT_HAND_ON(cublasLtMatmulDescSetAttribute,
              (cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
               const void* value, size_t bytes),
              (operation, attribute, value, bytes))

NAVIT_HAND_ON(cublasLtMatrixLayoutCreate,
              (cublasLtMatrixLayout_t * made, cudaDataType type, uint64_t rows, uint64_t columns,
               int64_t leading),
              (made, type, rows, columns, leading))
NAVIT_HAND_ON(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout), (layout))

NAVIT_HAND_ON(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t * made), (made))
NAVIT_HAND_ON(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference),
              (preference))
NAVIT_HAND_ON(cublasLtMatmulPreferenceSetAttribute,
              (cublasLtMatmulPreference_t preference,
               cublasLtMatmulPreferenceAttributes_t attribute, const void* value, size_t bytes),
              (preference, attribute, value, bytes))

NAVIT_HAND_ON(cublasLtMatmulAlgoGetHeuristic,
              (cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
               cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
               cublasLtMatmulPreference_t preference, int wanted,
               cublasLtMatmulHeuristicResult_t results[], int* found),
              (handle, operation, a, b, c, d, preference, wanted, results, found))
NAVIT_HAND_ON(cublasLtMatmulAlgoInit,
              (cublasLtHandle_t handle, cublasComputeType_t compute, cudaDataType_t scale,
               cudaDataType_t a, cudaDataType_t b, cudaDataType_t c, cudaDataType_t d, int id,
               cublasLtMatmulAlgo_t* algorithm),
              (handle, compute, scale, a, b, c, d, id, algorithm))
NAVIT_HAND_ON(cublasLtMatmulAlgoCheck,
              (cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
               cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
               const cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulHeuristicResult_t* result),
              (handle, operation, a, b, c, d, algorithm, result))
NAVIT_HAND_ON(cublasLtMatmulAlgoConfigGetAttribute,
              (const cublasLtMatmulAlgo_t* algorithm,
               cublasLtMatmulAlgoConfigAttributes_t attribute, void* value, size_t bytes,
               size_t* written),
              (algorithm, attribute, value, bytes, written))
NAVIT_HAND_ON(cublasLtMatmulAlgoConfigSetAttribute,
              (cublasLtMatmulAlgo_t * algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute,
               const void* value, size_t bytes),
              (algorithm, attribute, value, bytes))

NAVIT_HAND_ON(cublasLtMatmul,
              (cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha,
               const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
               cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
               cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
               const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t workspace_bytes,
               cudaStream_t stream),
              (handle, operation, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout,
               algorithm, workspace, workspace_bytes, stream))

}  // extern "C"
