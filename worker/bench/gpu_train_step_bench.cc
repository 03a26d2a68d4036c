// Whole training steps on a GPU; driven by tests/gpu/bench.
//   gpu_train_step_bench [image tokens] [width] [depth] [file of linear_tune's choices]
// Answers with lines of JSON: at the start
//   {"device": NAME, "peak_flops": F, "image": [N, ...], "text": [N, ...]}
// (F is 0 where it is not known; tokens of every example), and to each line that it reads, a number
// of steps,
//   {"seconds": S, "flops": F, "loss": L, "phases": {NAME: S, ...}}
// S are medians over the steps. Phases are told apart by the host's clock: work that is queued when
// a phase ends counts to the next one that waits.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/linear_choices_file.h"
#include "worker/accelerator.h"
#include "worker/bench/work.h"
#include "worker/collective_threads.h"
#include "worker/device/gpu.h"
#include "worker/device/peak_flops.h"
#include "worker/model/device/train_step.h"

namespace navit {
namespace {

constexpr int64_t kSequenceTokens = 1024;

// Tokens of every example, pack after pack.
std::string Lengths(const std::vector<Batch>& packs, std::vector<int32_t> Batch::*cu_seqlens) {
  std::string text;
  for (const Batch& pack : packs) {
    const std::vector<int32_t>& cu = pack.*cu_seqlens;
    for (size_t i = 1; i < cu.size(); ++i) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", cu[i] - cu[i - 1]);
    }
  }
  return text;
}

void EndUnlessOk(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << std::endl;
  std::exit(1);
}

template <typename T>
T ValueOrEnd(absl::StatusOr<T> result) {
  EndUnlessOk(result.status());
  return *std::move(result);
}

// The time of each phase of a step.
class Clock {
 public:
  void Enter(v1::Phase next) {
    const double now = Seconds();
    seconds_[phase_] += now - since_;
    phase_ = next;
    since_ = now;
  }
  // Those of the steps since the last call.
  std::map<v1::Phase, double> Take() {
    Enter(v1::PHASE_IDLE);
    seconds_.erase(v1::PHASE_IDLE);
    return std::exchange(seconds_, {});
  }

 private:
  v1::Phase phase_ = v1::PHASE_IDLE;
  double since_ = Seconds();
  std::map<v1::Phase, double> seconds_;
};

int Run(int64_t tokens, int64_t width, int64_t depth, const kernels::cuda::LinearChoices& choices) {
  const Gpu gpu = ValueOrEnd(OpenGpu(0, choices));
  const ModelConfig config = BenchModel(width, depth, width / 64);
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, 1, &state);
  const std::vector<Batch> packs =
      DrawPacks(config, {.sequences = static_cast<int>(tokens / kSequenceTokens),
                         .sequence_tokens = kSequenceTokens,
                         .most_image_tokens = 200});
  std::printf("{\"device\": \"%s\", \"peak_flops\": %g, \"image\": [%s], \"text\": [%s]}\n",
              gpu.device->name().c_str(), DevicePeakFlops(gpu.device->name()).value_or(0),
              Lengths(packs, &Batch::image_cu_seqlens).c_str(),
              Lengths(packs, &Batch::text_cu_seqlens).c_str());
  std::fflush(stdout);

  Clock clock;
  kernels::ThreadPool pool(1);
  const auto collectives = MakeThreadCollectives(1);
  const TrainStepOptions options = ValueOrEnd(OptionsOnDevice({}, table, *gpu.device));
  const std::unique_ptr<TrainStep> step = ValueOrEnd(
      MakeDeviceTrainStep(&table, options, &state, &pool, gpu.device.get(), gpu.engine.get(),
                          [&](v1::Phase phase) { clock.Enter(phase); }));
  // As the trainer does where the packs of the next step are there in time.
  const auto prepare = [&] { EndUnlessOk(step->Prepare(packs)); };
  prepare();
  uint64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<double> seconds;
    std::map<v1::Phase, std::vector<double>> phases;
    StepGradients gradients;
    clock.Take();
    for (int i = 0; i < std::max(1, std::atoi(line.c_str())); ++i) {
      const double start = Seconds();
      gradients = ValueOrEnd(step->ComputePrepared(collectives[0].get(), prepare));
      ValueOrEnd(step->Apply(gradients, 0.5, ++number));
      seconds.push_back(Seconds() - start);
      for (const auto& [phase, duration] : clock.Take()) phases[phase].push_back(duration);
    }
    std::printf("{\"seconds\": %.9g, \"flops\": %.9g, \"loss\": %.6g, \"phases\": {",
                Median(seconds), gradients.useful_flops, gradients.loss);
    const char* separator = "";
    for (const auto& [phase, durations] : phases) {
      std::printf("%s\"%s\": %.9g", separator, v1::Phase_Name(phase).c_str(), Median(durations));
      separator = ", ";
    }
    std::printf("}}\n");
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return navit::Argument(argc, argv, index, otherwise);
  };
  navit::kernels::cuda::LinearChoices choices;
  if (argc > 4) choices = navit::ValueOrEnd(navit::kernels::cuda::ReadLinearChoices(argv[4]));
  return navit::Run(argument(1, 32768), argument(2, 768), argument(3, 12), choices);
}
