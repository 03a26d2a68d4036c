#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/cuda/cublaslt_product.h"
#include "kernels/cuda/linear.h"

namespace navit::kernels::cuda {
namespace {

struct Plan {
  ProductLayout layout;
  cublasLtMatmulAlgo_t algorithm;
  bool chosen = false;  // by LinearChoices
};

class Engine : public LinearEngine {
 public:
  Engine(cublasLtHandle_t handle, void* workspace, int64_t workspace_bytes, LinearChoices choices)
      : handle_(handle),
        workspace_(workspace),
        workspace_bytes_(static_cast<size_t>(workspace_bytes)),
        choices_(std::move(choices)) {}

  LaunchError Forward(const LinearForwardArgs& args, Stream stream) override {
    return RunLinear(ShapeOf(args), {args.weight, args.x, args.y, args.bias, args.pre_gelu},
                     stream);
  }

  LaunchError BackwardInput(const LinearBackwardInputArgs& args, Stream stream) override {
    return RunLinear(ShapeOf(args),
                     {args.weight, args.dy, args.dx, nullptr, const_cast<Bf16*>(args.pre_gelu)},
                     stream);
  }

  LaunchError BackwardWeight(const LinearBackwardWeightArgs& args, Stream stream) override {
    return RunLinear(ShapeOf(args), {args.x, args.dy, args.dweight, nullptr, nullptr}, stream);
  }

  LaunchError Multiply(const ProductArgs& args, Stream stream) override {
    return Run(
        {args.columns, args.rows, args.depth, args.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
         args.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, args.b_stride, args.a_stride,
         args.to_stride, CUDA_R_32F, CUBLASLT_EPILOGUE_DEFAULT, args.accumulate, args.factor},
        nullptr, {args.b, args.a, args.to, nullptr, nullptr}, stream);
  }

  int64_t ChosenShapes() const override {
    return std::count_if(plans_.begin(), plans_.end(),
                         [](const auto& entry) { return entry.second.chosen; });
  }

 private:
  LaunchError RunLinear(const LinearShape& shape, const Pointers& at, Stream stream) {
    return Run(ProductOf(shape), &shape, at, stream);
  }

  // `shape`: what choices know the product by; null: nothing.
  LaunchError Run(const Product& product, const LinearShape* shape, const Pointers& at,
                  Stream stream) {
    // An empty sum or result changes nothing where it is added, and there is no other use of it.
    if (product.m == 0 || product.n == 0 || product.k == 0) return {};
    const auto found = plans_.find(product.Key());
    Plan* plan = found != plans_.end() ? &found->second : nullptr;
    if (plan == nullptr) {
      Plan made;
      if (const cublasStatus_t status = Make(product, shape, at, made);
          status != CUBLAS_STATUS_SUCCESS) {
        return {kCublasErrors + status};
      }
      plan = &plans_.emplace(product.Key(), std::move(made)).first->second;
    }
    cublasStatus_t status = Queue(product, *plan, at, stream);
    // The check of a choice knows no addresses, and an algorithm may refuse them.
    if (status != CUBLAS_STATUS_SUCCESS && plan->chosen) {
      status = TakeFirst(*plan);
      if (status == CUBLAS_STATUS_SUCCESS) status = Queue(product, *plan, at, stream);
    }
    return {status == CUBLAS_STATUS_SUCCESS ? 0 : kCublasErrors + status};
  }

  cublasStatus_t Queue(const Product& product, const Plan& plan, const Pointers& at,
                       Stream stream) {
    const ProductLayout& layout = plan.layout;
    const cublasStatus_t status = SetPointers(layout, at);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const float beta = product.accumulate ? 1 : 0;
    return cublasLtMatmul(handle_.get(), layout.operation.get(), &product.factor, at.a,
                          layout.a.get(), at.b, layout.b.get(), &beta, at.d, layout.d.get(), at.d,
                          layout.d.get(), &plan.algorithm, workspace_, workspace_bytes_, stream);
  }

  cublasStatus_t Make(const Product& product, const LinearShape* shape, const Pointers& at,
                      Plan& plan) {
    const cublasStatus_t status = MakeLayout(product, at, plan.layout);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const LinearChoice* const choice =
        shape == nullptr ? nullptr : FindLinearChoice(choices_, *shape);
    plan.chosen = choice != nullptr &&
                  MakeAlgorithm(handle_.get(), product, plan.layout, workspace_bytes_,
                                choice->algorithm, plan.algorithm) == CUBLAS_STATUS_SUCCESS;
    return plan.chosen ? CUBLAS_STATUS_SUCCESS : TakeFirst(plan);
  }

  cublasStatus_t TakeFirst(Plan& plan) {
    plan.chosen = false;
    std::vector<cublasLtMatmulAlgo_t> first;
    const cublasStatus_t status = ProposeAlgorithms(handle_.get(), plan.layout, workspace_bytes_,
                                                    CUBLASLT_REDUCTION_SCHEME_MASK, 1, first);
    if (status == CUBLAS_STATUS_SUCCESS) plan.algorithm = first[0];
    return status;
  }

  const OwnedHandle handle_;
  void* const workspace_;
  const size_t workspace_bytes_;
  const LinearChoices choices_;
  std::map<decltype(std::declval<Product>().Key()), Plan> plans_;
};

}  // namespace

std::unique_ptr<LinearEngine> LinearEngine::Create(void* workspace, int64_t workspace_bytes,
                                                   LinearChoices choices) {
  cublasLtHandle_t handle = nullptr;
  if (cublasLtCreate(&handle) != CUBLAS_STATUS_SUCCESS) return nullptr;
  return std::make_unique<Engine>(handle, workspace, workspace_bytes, std::move(choices));
}

}  // namespace navit::kernels::cuda
