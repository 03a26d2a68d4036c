// What metrics and logs cost a training step, in one process: pairs of steps, one with them and one
// without, in an order that changes from pair to pair, over the same packs and weights.
//   overhead_bench [pairs] [sequences] [width] [depth]
// With them: the phase clock at each phase, all of a step's metrics, a log line per step that is
// formatted, written to /dev/null and made ready to be shipped (a real step logs none), and beside
// the step, once a second, a scrape of /metrics and a heartbeat's telemetry.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/log.h"
#include "common/log_line.h"
#include "common/metrics.h"
#include "worker/bench/work.h"
#include "worker/collective_threads.h"
#include "worker/metrics.h"
#include "worker/model/train_step.h"
#include "worker/phase_clock.h"

namespace navit {
namespace {

int Run(int pairs, int sequences, int64_t width, int64_t depth) {
  const ModelConfig config = BenchModel(width, depth, width / 32);
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, 1, &state);
  std::mt19937_64 draw(1);
  const std::vector<Batch> packs =
      DrawPacks(config, {.sequences = sequences, .sequence_tokens = 256, .most_image_tokens = 100});
  const uint64_t tokens = uint64_t{256} * sequences;

  const int null_device = open("/dev/null", O_WRONLY | O_CLOEXEC);
  SetLogSink([null_device](absl::string_view line) {
    if (write(null_device, line.data(), line.size()) < 0) std::abort();
  });
  std::atomic<uint64_t> shipped_bytes{0};
  LogScope scope("bench", 0);
  TrainerMetrics metrics;
  PhaseClock phases(&metrics);
  metrics.SetRun("bench", 0, 1, 1e11);

  bool on = false;
  kernels::ThreadPool pool(1);
  const auto collectives = MakeThreadCollectives(1);
  TrainStep step(&table, TrainStepOptions(), &state, &pool, [&](v1::Phase phase) {
    if (on) phases.Enter(phase, 1);
  });
  std::atomic<bool> ended{false};
  std::thread reader([&] {
    const HttpHandler scrape = MetricsRoute("trainer", metrics.registry());
    while (!ended) {
      shipped_bytes += scrape({}).body.size() + metrics.Telemetry().ByteSizeLong();
      for (int i = 0; i < 20 && !ended; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });

  const auto one = [&](bool with, uint64_t number) {
    on = with;
    if (with) {
      SetLogObserver(
          [&](const LogRecord& record) { shipped_bytes += ToLogLine(record).ByteSizeLong(); });
    } else {
      SetLogObserver(nullptr);
    }
    const double start = Seconds();
    const absl::StatusOr<StepGradients> result = step.ComputeGradients(packs, collectives[0].get());
    if (!result.ok()) std::abort();
    step.Apply(*result, 0.5, 1).status().IgnoreError();
    if (with) {
      phases.Enter(v1::PHASE_DATA_WAIT, number);
      metrics.SetLag(phases.TakeOwnWork());
      metrics.StepApplied(absl::Seconds(Seconds() - start), 64, tokens, tokens / 4,
                          result->useful_flops);
      metrics.SetTraffic(CollectiveTraffic());
      metrics.SetPrefetch(3, 3 << 20, 8 << 20);
      LogScope::SetStep(number);
      NAVIT_LOG(INFO) << "step " << number << " loss " << result->loss;
    }
    return Seconds() - start;
  };
  std::vector<double> with, without, difference;
  one(true, 1);
  one(false, 1);
  for (int pair = 0; pair < pairs; ++pair) {
    const bool first = draw() % 2 == 0;
    const double a = one(first, pair + 2);
    const double b = one(!first, pair + 2);
    with.push_back(first ? a : b);
    without.push_back(first ? b : a);
    difference.push_back(with.back() - without.back());
  }
  ended = true;
  reader.join();
  SetLogObserver(nullptr);
  const double step_seconds = Median(without);
  std::printf(
      "overhead width=%d depth=%d sequences=%d pairs=%d step_off_ms=%.3f step_on_ms=%.3f "
      "median_difference_us=%.1f overhead_percent=%.3f\n",
      static_cast<int>(width), static_cast<int>(depth), sequences, pairs, 1e3 * step_seconds,
      1e3 * Median(with), 1e6 * Median(difference), 100 * Median(difference) / step_seconds);
  return 0;
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return navit::Argument(argc, argv, index, otherwise);
  };
  return navit::Run(std::max(1, argument(1, 200)), argument(2, 4), argument(3, 64), argument(4, 2));
}
