// Whole training steps, and the packed work that they do, for a peer that takes turns with them:
//   train_step_bench [threads] [sequences] [width] [depth]
//   segments image=N,N,... text=N,N,...      tokens of every example, sequence after sequence
// and after a step that allocates and is not counted, one step for each line of the standard input:
//   train_step seconds=... gflops=... of_peak=... PHASE=...
// gflops are of useful work. The peak is probed before and after the step, and their mean counts: a
// neighbour on the same cores comes and goes within seconds. Sequences of 576 image tokens, image
// lengths 20 to 200, captions of 10 to 40 tokens.
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
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

int Run(int threads, int sequences, int64_t width, int64_t depth) {
  const ModelConfig config = BenchModel(width, depth, width / 64);
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, 1, &state);

  const std::vector<Batch> packs =
      DrawPacks(config, {.sequences = sequences, .sequence_tokens = 576, .most_image_tokens = 200});
  std::printf("segments image=%s text=%s\n", Lengths(packs, &Batch::image_cu_seqlens).c_str(),
              Lengths(packs, &Batch::text_cu_seqlens).c_str());
  std::fflush(stdout);

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
  const auto take_step = [&]() -> absl::StatusOr<double> {
    NAVIT_ASSIGN_OR_RETURN(const StepGradients gradients,
                           step.ComputeGradients(packs, collectives[0].get()));
    NAVIT_RETURN_IF_ERROR(step.Apply(gradients, 0.5, 1).status());
    enter(v1::PHASE_IDLE);
    return gradients.useful_flops;
  };
  absl::StatusOr<double> flops = take_step();
  std::string line;
  while (flops.ok() && std::getline(std::cin, line)) {
    const double before = kernels::ProbePeakFlops(pool);
    seconds.clear();
    const double start = since = Seconds();
    flops = take_step();
    const double duration = Seconds() - start;
    if (!flops.ok()) break;
    const double peak = (before + kernels::ProbePeakFlops(pool)) / 2, rate = *flops / duration;
    std::printf("train_step seconds=%.4f gflops=%.1f of_peak=%.3f", duration, rate / 1e9,
                rate / peak);
    for (const auto& [name, total] : seconds) {
      std::printf(" %s=%.4f", v1::Phase_Name(name).c_str(), total);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  if (flops.ok()) return 0;
  std::fprintf(stderr, "%s\n", flops.status().ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return navit::Argument(argc, argv, index, otherwise);
  };
  return navit::Run(argument(1, 1), argument(2, 16), argument(3, 192), argument(4, 4));
}
