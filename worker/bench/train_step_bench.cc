// Useful GFLOP/s of whole training steps, and the packed work that they did, for a peer:
//   train_step_bench [threads] [sequences] [steps] [width] [depth]
//   segments image=N,N,... text=N,N,...      tokens of every example, sequence after sequence
//   train_step width=... gflops_median=... seconds_median=... of_peak=...
// Sequences of 576 image tokens, image lengths 20 to 200, captions of 10 to 40 tokens.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/peak_flops.h"
#include "worker/collective_threads.h"
#include "worker/model/testing.h"
#include "worker/model/train_step.h"

namespace navit {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int Run(int threads, int sequences, int steps, int64_t width, int64_t depth) {
  ModelConfig config;
  config.image = {.width = width, .depth = depth, .mlp_dim = 4 * width, .heads = width / 64};
  config.text = config.image;
  config.patch_size = 16;
  config.max_grid = 128;
  config.position_rows = 128;
  config.max_text_tokens = 64;
  config.embedding_dim = width;
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, 1, &state);

  std::mt19937_64 draw(1);
  std::vector<Batch> packs;
  std::string image_lengths, text_lengths;
  for (int pack = 0; pack < sequences; ++pack) {
    std::vector<ExampleShape> shapes;
    for (int64_t left = 576; left > 0;) {
      const int64_t tokens = std::min<int64_t>(left, 20 + draw() % 181);
      shapes.push_back({tokens, static_cast<int64_t>(10 + draw() % 31)});
      left -= tokens;
      absl::StrAppend(&image_lengths, image_lengths.empty() ? "" : ",", tokens);
      absl::StrAppend(&text_lengths, text_lengths.empty() ? "" : ",", shapes.back().text_tokens);
    }
    packs.push_back(DrawBatch(config, 1, 1000 * pack, shapes));
  }

  std::printf("segments image=%s text=%s\n", image_lengths.c_str(), text_lengths.c_str());

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
    step.Apply(*result, 0.5, 1);
    enter(v1::PHASE_IDLE);
    if (i == 0) continue;
    durations.push_back(Seconds() - start);
    rates.push_back(result->useful_flops / durations.back() / 1e9);
  }
  std::sort(rates.begin(), rates.end());
  std::sort(durations.begin(), durations.end());
  const double median = rates[rates.size() / 2];
  std::printf(
      "train_step width=%d depth=%d threads=%d sequences=%d gflops_median=%.1f seconds_median=%.4f"
      " of_peak=%.3f",
      static_cast<int>(width), static_cast<int>(depth), threads, sequences, median,
      durations[durations.size() / 2], median * 1e9 / threads / kernels::ProbePeakFlops());
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
    return argc > index ? std::atoi(argv[index]) : otherwise;
  };
  return navit::Run(argument(1, 1), argument(2, 16), std::max(1, argument(3, 5)), argument(4, 192),
                    argument(5, 4));
}
