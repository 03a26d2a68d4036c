#include <algorithm>
#include <string>
#include <utility>

#include "kernels/bench/gpu_workloads.h"
#include "kernels/cuda/bias_gelu.h"
#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/map_pool_attention.h"
#include "kernels/cuda/patch_normalize.h"
#include "kernels/cuda/position_table.h"
#include "kernels/cuda/qk_norm_rope.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/cuda/scatter_rows.h"
#include "kernels/cuda/segment_range.h"

namespace navit::kernels::cuda {
namespace {

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;
constexpr int64_t kHeadDim = 64;
constexpr int64_t kSegmentTokens = 128;
// Rows of a position table that images of a usual size select.
constexpr int32_t kPositions = 20;

// What all operations of one workload have in common.
struct Shapes {
  Workload* workload;
  int64_t tokens, width, mlp;
  // [tokens, mlp] each, which serve as narrower matrices too. `x` and `dy` are random and stay; dx
  // takes results.
  const Bf16 *x, *dy;
  Bf16 *y, *dx;
  const float* gain;           // [mlp], random
  float *statistics, *shifts;  // [tokens, 2, heads]
  float *sum, *partial;        // of columns

  // Bytes of one matrix [tokens, columns].
  double Matrix(int64_t columns) const { return 2.0 * static_cast<double>(tokens * columns); }
  void Add(const char* name, double bytes, std::function<LaunchError()> run) const {
    workload->stages.push_back({name, std::move(run), bytes, 0});
  }
};

void AddNorms(const Shapes& s) {
  const int64_t rows = s.tokens, dim = s.width;
  const RmsNormForwardArgs rms = {rows, dim, 1e-6f, s.x, s.gain, s.y, s.statistics};
  const RmsNormBackwardArgs rms_backward = {rows, dim,  s.x,   s.gain,    s.statistics,
                                            s.dy, s.dx, s.sum, s.partial, true};
  s.Add("rms_norm forward", 2 * s.Matrix(dim), [=] { return RmsNormForward(rms, nullptr); });
  s.Add("rms_norm backward", 4 * s.Matrix(dim),
        [=] { return RmsNormBackward(rms_backward, nullptr); });
  const LayerNormForwardArgs layer = {rows,   dim, 1e-6f,        s.x,     s.gain,
                                      s.gain, s.y, s.statistics, s.shifts};
  const LayerNormBackwardArgs layer_backward = {rows, dim,  s.x,   s.gain, s.statistics, s.shifts,
                                                s.dy, s.dx, s.sum, s.sum,  s.partial,    true};
  s.Add("layer_norm forward", 2 * s.Matrix(dim), [=] { return LayerNormForward(layer, nullptr); });
  s.Add("layer_norm backward", 4 * s.Matrix(dim),
        [=] { return LayerNormBackward(layer_backward, nullptr); });
  const int64_t heads = dim / kHeadDim;
  const QkNormRopeForwardArgs qk = {rows,   heads,  kHeadDim, 1e-6f, s.x,
                                    s.gain, s.gain, nullptr,  s.y,   s.statistics};
  const QkNormRopeBackwardArgs qk_backward = {rows,   heads,  kHeadDim, s.x,
                                              s.gain, s.gain, nullptr,  s.statistics,
                                              s.dx,   s.sum,  s.sum,    s.partial};
  s.Add("qk_norm forward", 6 * s.Matrix(dim), [=] { return QkNormRopeForward(qk, nullptr); });
  s.Add("qk_norm backward", 6 * s.Matrix(dim),
        [=] { return QkNormRopeBackward(qk_backward, nullptr); });
}

void AddGeluAndSums(const Shapes& s) {
  const BiasGeluForwardArgs gelu = {s.tokens, s.mlp, s.x, s.gain, s.y};
  const BiasGeluBackwardArgs gelu_backward = {s.tokens, s.mlp, s.x,   s.gain,
                                              s.dy,     s.dx,  s.sum, s.partial};
  s.Add("bias_gelu forward", 2 * s.Matrix(s.mlp), [=] { return BiasGeluForward(gelu, nullptr); });
  s.Add("bias_gelu backward", 3 * s.Matrix(s.mlp),
        [=] { return BiasGeluBackward(gelu_backward, nullptr); });
  for (const int64_t dim : {s.width, s.mlp}) {
    const ColumnSumArgs sum = {s.tokens, dim, s.dy, nullptr, s.sum, s.partial};
    s.Add(dim == s.width ? "column_sum width" : "column_sum mlp", s.Matrix(dim),
          [=] { return ColumnSum(sum, nullptr); });
  }
}

void AddInput(const Shapes& s) {
  GpuMemory& memory = s.workload->memory;
  PatchNormalizeArgs patches;
  patches.tokens = s.tokens;
  patches.patch_values = s.width;
  patches.x = reinterpret_cast<const uint8_t*>(s.x);
  patches.y = s.y;
  s.Add("patch_normalize", 1.5 * s.Matrix(s.width),
        [=] { return PatchNormalize(patches, nullptr); });
  std::vector<PositionTaps> taps;
  std::vector<int32_t> rows;
  std::vector<Selection> selections;
  for (int32_t t = 0; t < s.tokens; ++t) {
    rows.push_back(t * 7 % kPositions);
    selections.push_back({t, 1});
    taps.push_back({{rows.back()}, {1}});
  }
  float* const rows_of_table = memory.Normal(kPositions * s.width);
  const PositionTableForwardArgs table = {s.tokens,      s.width, s.width, 0, memory.Upload(taps),
                                          rows_of_table, s.y};
  s.Add("position_table forward", 2 * s.Matrix(s.width),
        [=] { return PositionTableForward(table, nullptr); });
  const ScatterWork work = MakeScatterWork(rows, selections, kPositions);
  const ScatterRowsArgs scatter = {static_cast<int64_t>(work.rows.size()),
                                   s.width,
                                   memory.Upload(work.rows),
                                   memory.Upload(work.selections),
                                   s.dy,
                                   s.width,
                                   rows_of_table};
  s.Add("scatter_rows", s.Matrix(s.width), [=] { return ScatterRows(scatter, nullptr); });
}

void AddMapPool(const Shapes& s) {
  GpuMemory& memory = s.workload->memory;
  std::vector<SegmentRange> ranges;
  for (int64_t begin = 0; begin < s.tokens; begin += kSegmentTokens) {
    ranges.push_back({static_cast<int32_t>(begin),
                      static_cast<int32_t>(std::min(kSegmentTokens, s.tokens - begin))});
  }
  const auto segments = static_cast<int64_t>(ranges.size());
  const int64_t heads = s.width / kHeadDim;
  const SegmentRange* const segment = memory.Upload(ranges);
  Bf16* const pooled = memory.Make<Bf16>(segments * s.width);
  const MapPoolAttentionForwardArgs forward = {s.tokens, segments, heads,  kHeadDim,    segment,
                                               s.gain,   s.x,      pooled, s.statistics};
  const MapPoolAttentionBackwardArgs backward = {
      s.tokens, s.tokens, segments,     heads, kHeadDim, segment, s.gain,
      s.x,      pooled,   s.statistics, s.dy,  s.dx,     s.sum,   s.partial};
  s.Add("map_pool_attention forward", 2 * s.Matrix(s.width),
        [=] { return MapPoolAttentionForward(forward, nullptr); });
  s.Add("map_pool_attention backward", 4 * s.Matrix(s.width),
        [=] { return MapPoolAttentionBackward(backward, nullptr); });
}

// A layer [in, out] in its three passes; fc1 also with what follows it fused.
void AddLinear(const Shapes& s, const std::string& name, int64_t in, int64_t out,
               const std::shared_ptr<LinearEngine>& engine) {
  GpuMemory& memory = s.workload->memory;
  const Bf16* const weight = memory.NormalBf16(in * out, 0.02f);
  const Bf16* const bias = memory.NormalBf16(out);
  float* const dweight = memory.Make<float>(in * out);
  const double flops = 2.0 * static_cast<double>(s.tokens * in) * static_cast<double>(out);
  const auto add = [&](const char* pass, std::function<LaunchError()> run) {
    s.workload->stages.push_back({"linear " + name + " " + pass, std::move(run), 0, flops});
  };
  const LinearForwardArgs forward = {s.tokens, in, out, s.x, weight, bias, s.y};
  add("forward", [=] { return engine->Forward(forward, nullptr); });
  const LinearBackwardInputArgs input = {s.tokens, in, out, s.dy, weight, s.dx};
  add("backward input", [=] { return engine->BackwardInput(input, nullptr); });
  const LinearBackwardWeightArgs weights = {s.tokens, in, out, s.x, s.dy, dweight};
  add("backward weight", [=] { return engine->BackwardWeight(weights, nullptr); });
  if (name != "fc1") return;
  LinearForwardArgs gelu = forward;
  gelu.pre_gelu = s.dx;
  add("forward with gelu", [=] { return engine->Forward(gelu, nullptr); });
}

}  // namespace

std::unique_ptr<Workload> OperationsWorkload(int64_t tokens, int64_t width,
                                             const LinearChoices& choices) {
  auto workload = std::make_unique<Workload>();
  GpuMemory& memory = workload->memory;
  const int64_t mlp = 4 * width, statistics = tokens * 2 * (width / kHeadDim);
  const Shapes s = {workload.get(),
                    tokens,
                    width,
                    mlp,
                    memory.NormalBf16(tokens * mlp),
                    memory.NormalBf16(tokens * mlp),
                    memory.Make<Bf16>(tokens * mlp),
                    memory.Make<Bf16>(tokens * mlp),
                    memory.Normal(mlp),
                    memory.Make<float>(statistics),
                    memory.Make<float>(statistics),
                    memory.Make<float>(mlp),
                    memory.Make<float>(std::max(ColumnSumSlabs(tokens) * std::max(mlp, 2 * width),
                                                2 * QkNormSlabs(tokens) * kHeadDim))};
  std::shared_ptr<LinearEngine> engine =
      LinearEngine::Create(memory.Bytes(kWorkspaceBytes), kWorkspaceBytes, choices);
  if (engine == nullptr) Check({1}, "cuBLASLt");
  AddInput(s);
  AddNorms(s);
  AddGeluAndSums(s);
  AddMapPool(s);
  AddLinear(s, "qkv", width, 3 * width, engine);
  AddLinear(s, "proj", width, width, engine);
  AddLinear(s, "fc1", width, mlp, engine);
  AddLinear(s, "fc2", mlp, width, engine);
  const void* const from = s.x;
  void* const to = s.y;
  const auto copied = static_cast<int64_t>(s.Matrix(mlp));
  s.Add("copy", 2 * s.Matrix(mlp), [=] { return CopyOnGpu(to, from, copied, nullptr); });
  return workload;
}

}  // namespace navit::kernels::cuda
