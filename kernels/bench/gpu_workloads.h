// What gpu_bench times, of rows G1, G4 and G5 and of single operations.
#ifndef NAVIT_KERNELS_BENCH_GPU_WORKLOADS_H_
#define NAVIT_KERNELS_BENCH_GPU_WORKLOADS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/bench/gpu.h"
#include "kernels/cuda/linear_choices.h"

namespace navit::kernels::cuda {

struct Workload {
  GpuMemory memory;
  std::vector<Stage> stages;
};

// Packed attention, forward and backward, over segments of these lengths. The work list is made
// beforehand, as it is once for all layers of a step. Bytes are those of qkv, out and lse read and
// written once per pass, operations 4·l²·width forward and 8·l²·width backward per segment.
std::unique_ptr<Workload> AttentionWorkload(int64_t heads, int64_t head_dim,
                                            const std::vector<int32_t>& lengths);

// The softmax contrastive loss over N pairs, both passes. Operations: 2·N²·dim and 6·N²·dim.
std::unique_ptr<Workload> ContrastiveWorkload(int64_t pairs, int64_t dim);

// AdamW over so many parameters in one range, the gradient's norm, and a copy of the same size as
// the parameters, which shows what the memory can do.
std::unique_ptr<Workload> AdamWWorkload(int64_t parameters);

// One product of square matrices, which shows what cuBLASLt reaches.
std::unique_ptr<Workload> MatmulWorkload(int64_t side);

// Every kernel of a training step by itself, with the shapes of a ViT of this width, heads of 64
// and MLPs of 4·width. `choices`: for its linear layers.
std::unique_ptr<Workload> OperationsWorkload(int64_t tokens, int64_t width,
                                             const LinearChoices& choices);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_BENCH_GPU_WORKLOADS_H_
