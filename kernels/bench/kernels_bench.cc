// GFLOP/s of the kernels on one thread; `of_peak` is the ratio to the FMA peak probed just before.
#include <benchmark/benchmark.h>
#include <oneapi/dnnl/dnnl.h>

#include <chrono>
#include <random>
#include <vector>

#include "kernels/linear.h"
#include "kernels/peak_flops.h"
#include "kernels/segment_attention.h"

namespace navit::kernels {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<float> Random(int64_t count) {
  static std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

void Report(benchmark::State& state, double flops_per_call, double peak, double seconds) {
  const double gflops = flops_per_call * static_cast<double>(state.iterations()) / seconds / 1e9;
  state.counters["gflops"] = gflops;
  state.counters["of_peak"] = gflops / peak;
}

// The three products of a linear layer, ours or oneDNN's (the peer).
enum Pass : int64_t { kForward, kBackwardInput, kBackwardWeight };

void Linear(benchmark::State& state) {
  ThreadPool pool(1);
  const double peak = ProbePeakFlops(pool) / 1e9;
  const int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  const bool onednn = state.range(4) != 0;
  std::vector<float> x = Random(rows * in), w = Random(out * in), y = Random(rows * out);
  const auto run = [&] {
    switch (state.range(3)) {
      case kForward:
        if (onednn) {
          dnnl_sgemm('N', 'T', rows, out, in, 1, x.data(), in, w.data(), in, 0, y.data(), out);
        } else {
          LinearForward({rows, in, out, x.data(), w.data(), nullptr, y.data()}, pool);
        }
        break;
      case kBackwardInput:
        if (onednn) {
          dnnl_sgemm('N', 'N', rows, in, out, 1, y.data(), out, w.data(), in, 0, x.data(), in);
        } else {
          LinearBackwardInput({rows, in, out, y.data(), w.data(), x.data()}, pool);
        }
        break;
      case kBackwardWeight:
        if (onednn) {
          dnnl_sgemm('T', 'N', out, in, rows, 1, y.data(), out, x.data(), in, 1, w.data(), in);
        } else {
          LinearBackwardWeight({rows, in, out, x.data(), y.data(), w.data(), nullptr}, pool);
        }
        break;
    }
  };
  run();
  const auto start = Clock::now();
  for (auto _ : state) run();
  Report(state, 2.0 * rows * in * out, peak,
         std::chrono::duration<double>(Clock::now() - start).count());
}
BENCHMARK(Linear)
    ->ArgNames({"rows", "in", "out", "pass", "onednn"})
    ->ArgsProduct(
        {{2304}, {384}, {1152, 1536}, {kForward, kBackwardInput, kBackwardWeight}, {0, 1}})
    ->ArgsProduct({{2304}, {768}, {3072}, {kForward, kBackwardInput, kBackwardWeight}, {0, 1}});

// Forward and backward of `segments` segments of `length` tokens, 12 heads of 64: 4·l²·D useful
// FLOPs forward, 8·l²·D backward, of each.
void SegmentAttention(benchmark::State& state) {
  ThreadPool pool(1);
  const double peak = ProbePeakFlops(pool) / 1e9;
  const int64_t length = state.range(0), segments = state.range(1), heads = 12, dim = 64;
  const int64_t width = heads * dim, tokens = segments * length;
  const std::vector<float> qkv = Random(tokens * 3 * width), dout = Random(tokens * width);
  std::vector<float> out(tokens * width), lse(tokens * heads), dqkv(qkv.size());
  std::vector<int32_t> cu;
  for (int64_t i = 0; i <= segments; ++i) cu.push_back(static_cast<int32_t>(i * length));
  const auto start = Clock::now();
  for (auto _ : state) {
    SegmentAttentionForward(
        {tokens, segments, heads, dim, false, cu.data(), qkv.data(), out.data(), lse.data()}, pool);
    SegmentAttentionBackward({tokens, segments, heads, dim, false, cu.data(), qkv.data(),
                              out.data(), lse.data(), dout.data(), dqkv.data()},
                             pool);
  }
  Report(state, 12.0 * segments * length * length * width, peak,
         std::chrono::duration<double>(Clock::now() - start).count());
}
BENCHMARK(SegmentAttention)
    ->ArgNames({"length", "segments"})
    ->Args({71, 32})
    ->Args({196, 12})
    ->Args({460, 5});

}  // namespace
}  // namespace navit::kernels

BENCHMARK_MAIN();
