#include "kernels/bench/gpu_workloads.h"

#include <cmath>

#include "kernels/cuda/adamw.h"
#include "kernels/cuda/contrastive.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/segment_attention.h"

namespace navit::kernels::cuda {
namespace {

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;

}  // namespace

std::unique_ptr<Workload> AttentionWorkload(int64_t heads, int64_t head_dim,
                                            const std::vector<int32_t>& lengths) {
  auto workload = std::make_unique<Workload>();
  GpuMemory& memory = workload->memory;
  std::vector<int32_t> cu_seqlens = {0};
  double squares = 0;
  for (const int32_t length : lengths) {
    cu_seqlens.push_back(cu_seqlens.back() + length);
    squares += static_cast<double>(length) * length;
  }
  const AttentionWork work = MakeAttentionWork(
      cu_seqlens.data(), static_cast<int64_t>(lengths.size()), AttentionRows(head_dim));
  const DeviceAttentionWork device_work = {static_cast<int64_t>(work.blocks.size()),
                                           memory.Upload(work.blocks),
                                           memory.Upload(work.segments),
                                           memory.Upload(work.tiles),
                                           work.chunk_rows,
                                           work.used_tokens};
  const int64_t tokens = cu_seqlens.back(), width = heads * head_dim;
  const Bf16* const qkv = memory.NormalBf16(tokens * 3 * width);
  const Bf16* const dout = memory.NormalBf16(tokens * width);
  Bf16* const out = memory.Make<Bf16>(tokens * width);
  Bf16* const dqkv = memory.Make<Bf16>(tokens * 3 * width);
  float* const lse = memory.Make<float>(tokens * heads);
  float* const delta = memory.Make<float>(tokens * heads);
  const double vector_bytes = 2.0 * static_cast<double>(tokens * width);
  const double flops = 4 * squares * static_cast<double>(width);
  workload->stages = {
      {"forward",
       [=] {
         return SegmentAttentionForward(
             {tokens, heads, head_dim, false, device_work, qkv, out, lse}, nullptr);
       },
       4 * vector_bytes, flops},
      {"backward",
       [=] {
         return SegmentAttentionBackward(
             {tokens, heads, head_dim, false, device_work, qkv, out, lse, dout, dqkv, delta},
             nullptr);
       },
       8 * vector_bytes, 2 * flops}};
  return workload;
}

std::unique_ptr<Workload> ContrastiveWorkload(int64_t pairs, int64_t dim) {
  auto workload = std::make_unique<Workload>();
  GpuMemory& memory = workload->memory;
  // Rows of about unit length; those of a pair resemble each other.
  const std::vector<float> normal = NormalValues(2 * pairs * dim, 1 / std::sqrt(float(dim)));
  std::vector<Bf16> x, y;
  for (int64_t i = 0; i < pairs * dim; ++i) {
    x.push_back(FloatToBf16(normal[i]));
    y.push_back(FloatToBf16(0.3f * normal[i] + 0.95f * normal[pairs * dim + i]));
  }
  std::vector<int64_t> positive;
  for (int64_t i = 0; i < pairs; ++i) positive.push_back(i);
  ContrastiveStrip strip;
  strip.rows = strip.columns = pairs;
  strip.dim = dim;
  strip.x = memory.Upload(x);
  strip.y = memory.Upload(y);
  strip.scale = 1 / 0.07f;
  strip.positive = memory.Upload(positive);
  const auto floats = [&] { return memory.Make<float>(pairs); };
  std::shared_ptr<LinearEngine> engine =
      LinearEngine::Create(memory.Bytes(kWorkspaceBytes), kWorkspaceBytes);
  if (engine == nullptr) Check({1}, "cuBLASLt");
  const ContrastiveStatsArgs stats = {
      strip,    engine.get(), floats(), floats(), floats(),
      floats(), floats(),     floats(), nullptr,  memory.Bytes(ContrastiveStatsWorkspace(strip))};
  float *const row_lse = floats(), *const column_lse = floats();
  const float weight = 0.5f / static_cast<float>(pairs);
  const ContrastiveBackwardArgs backward = {strip,
                                            engine.get(),
                                            stats.positive_part,
                                            row_lse,
                                            column_lse,
                                            weight,
                                            weight,
                                            memory.Make<float>(pairs * dim),
                                            memory.Make<float>(pairs * dim),
                                            memory.Make<double>(1),
                                            memory.Bytes(ContrastiveGradientWorkspace(strip))};
  const double product = 2.0 * static_cast<double>(pairs * pairs) * static_cast<double>(dim);
  // The stages keep the engine that their arguments point to.
  workload->stages = {
      {"statistics",
       [=, engine = engine] {
         LaunchError error = ContrastiveStats(stats, nullptr);
         if (error.ok()) {
           error = SoftmaxLogSum(pairs, stats.row_max, stats.row_sum, row_lse, nullptr);
         }
         if (error.ok()) {
           error = SoftmaxLogSum(pairs, stats.column_max, stats.column_sum, column_lse, nullptr);
         }
         return error;
       },
       0, product},
      {"backward", [=, engine = engine] { return ContrastiveBackward(backward, nullptr); }, 0,
       3 * product}};
  return workload;
}

std::unique_ptr<Workload> AdamWWorkload(int64_t parameters) {
  auto workload = std::make_unique<Workload>();
  GpuMemory& memory = workload->memory;
  AdamWArgs args;
  const std::vector<AdamWPiece> pieces = MakeAdamWPieces({{0, parameters, 1, 0.1}});
  args.pieces = static_cast<int64_t>(pieces.size());
  args.piece = memory.Upload(pieces);
  args.param = memory.Normal(parameters, 0.02f);
  args.m = memory.Normal(parameters, 1e-3f);
  args.v = memory.Make<float>(parameters);
  args.weight = memory.Make<Bf16>(parameters);
  args.grad = memory.Normal(parameters, 1e-3f);
  args.step = 10;
  args.lr = 1e-4;
  float* const norm = memory.Make<float>(2);
  const GradientNormArgs norm_args = {
      parameters, args.grad, 1, memory.Make<double>(kGradientNormBlocks), norm, norm + 1};
  args.grad_scale = norm + 1;
  const int64_t copied = 4 * parameters;
  const void* const from = memory.Normal(parameters);
  void* const to = memory.Bytes(copied);
  const auto count = static_cast<double>(parameters);
  workload->stages = {{"norm", [=] { return GradientNorm(norm_args, nullptr); }, 4 * count},
                      {"adamw", [=] { return AdamW(args, nullptr); }, 30 * count},
                      {"copy", [=] { return CopyOnGpu(to, from, copied, nullptr); }, 8 * count}};
  return workload;
}

std::unique_ptr<Workload> MatmulWorkload(int64_t side) {
  auto workload = std::make_unique<Workload>();
  GpuMemory& memory = workload->memory;
  std::shared_ptr<LinearEngine> engine =
      LinearEngine::Create(memory.Bytes(kWorkspaceBytes), kWorkspaceBytes);
  if (engine == nullptr) Check({1}, "cuBLASLt");
  const LinearForwardArgs args = {side,
                                  side,
                                  side,
                                  memory.NormalBf16(side * side),
                                  memory.NormalBf16(side * side),
                                  nullptr,
                                  memory.Make<Bf16>(side * side)};
  const auto side_flops = static_cast<double>(side);
  workload->stages = {{"matmul", [=] { return engine->Forward(args, nullptr); }, 0,
                       2 * side_flops * side_flops * side_flops}};
  return workload;
}

}  // namespace navit::kernels::cuda
