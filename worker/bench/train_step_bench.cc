// Useful GFLOP/s of whole training steps, and the packed work that they did, for a peer:
//   train_step_bench [threads] [sequences] [steps] [width] [depth]
//   segments image=N,N,... text=N,N,...      tokens of every example, sequence after sequence
//   train_step width=... gflops_median=... seconds_median=... of_peak=...
// Sequences of 576 image tokens, image lengths 20 to 200, captions of 10 to 40 tokens.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/peak_flops.h"
#include "worker/bench/work.h"
#include "worker/collective_threads.h"
#include "worker/model/train_step.h"

namespace navit {
namespace {

// Tokens of every example, pack after pack.
std::string Lengths(const std::vector<Batch>& packs, std::vector<int32_t> Batch::*cu_seqlens) {
  std::string text;
  for (const Batch& pack : packs) {
    const std::vector<int32_t>& cu = pack.*cu_seqlens;
    for (size_t i = 1; i < cu.size(); ++i) {
      absl::StrAppend(&text, text.empty() ? "" : ",", cu[i] - cu[i - 1]);
    }
  }
  return text;
}

int Run(int threads, int sequences, int steps, int64_t width, int64_t depth) {
  const ModelConfig config = BenchModel(width, depth, width / 64);
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, 1, &state);

  const std::vector<Batch> packs =
      DrawPacks(config, {.sequences = sequences, .sequence_tokens = 576, .most_image_tokens = 200});
  std::printf("segments image=%s text=%s\n", Lengths(packs, &Batch::image_cu_seqlens).c_str(),
              Lengths(packs, &Batch::text_cu_seqlens).c_str());

  std::map<v1::Phase, double> seconds;
  v1::Phase phase = v1::PHASE_IDLE;
  double since = Seconds();
  const auto enter = [&](v1::Phase next) {
    const double now = Seconds();
    seconds[phase] += now - since;
    phase = next;
    since = now;
  };
  kernels::ThreadPool pool(threads);
  const auto collectives = MakeThreadCollectives(1);
  TrainStep step(&table, TrainStepOptions(), &state, &pool, enter);
  std::vector<double> rates, durations;
  // The first step allocates and is left out.
  for (int i = 0; i <= steps; ++i) {
    if (i == 1) seconds.clear();
    const double start = Seconds();
    const absl::StatusOr<StepGradients> result = step.ComputeGradients(packs, collectives[0].get());
    if (!result.ok()) {
      std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
      return 1;
    }
    step.Apply(*result, 0.5, 1).status().IgnoreError();
    enter(v1::PHASE_IDLE);
    if (i == 0) continue;
    durations.push_back(Seconds() - start);
    rates.push_back(result->useful_flops / durations.back() / 1e9);
  }
  const double median = Median(rates);
  std::printf(
      "train_step width=%d depth=%d threads=%d sequences=%d gflops_median=%.1f seconds_median=%.4f"
      " of_peak=%.3f",
      static_cast<int>(width), static_cast<int>(depth), threads, sequences, median,
      Median(durations), median * 1e9 / threads / kernels::ProbePeakFlops());
  for (const auto& [name, total] : seconds) {
    std::printf(" %s=%.4f", v1::Phase_Name(name).c_str(), total / steps);
  }
  std::printf("\n");
  return 0;
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return navit::Argument(argc, argv, index, otherwise);
  };
  return navit::Run(argument(1, 1), argument(2, 16), std::max(1, argument(3, 5)), argument(4, 192),
                    argument(5, 4));
}
