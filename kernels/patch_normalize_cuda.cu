#include "kernels/patch_normalize_cuda.h"

namespace navit::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

__global__ void PatchNormalizeKernel(PatchNormalizeCudaArgs args) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < args.count;
       i += stride) {
    const int channel = static_cast<int>(i % 3);
    const float slope = channel == 0 ? args.slope[0] : channel == 1 ? args.slope[1] : args.slope[2];
    const float offset =
        channel == 0 ? args.offset[0] : channel == 1 ? args.offset[1] : args.offset[2];
    args.y[i] = fmaf(static_cast<float>(args.x[i]), slope, offset);
  }
}

}  // namespace

cudaError_t PatchNormalize(const PatchNormalizeCudaArgs& args, cudaStream_t stream) {
  if (args.count == 0) return cudaSuccess;
  const int64_t wanted = (args.count + kThreads - 1) / kThreads;
  const unsigned blocks = static_cast<unsigned>(wanted < kMaxBlocks ? wanted : kMaxBlocks);
  PatchNormalizeKernel<<<blocks, kThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace navit::kernels::cuda
