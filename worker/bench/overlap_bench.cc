// How much of the all-reduce of the gradients hides behind the backward pass, with ranks that are
// threads of one process, connected by Gloo, with one compute thread each:
//   overlap_bench [ranks] [steps] [sequences per rank] [width] [depth]
//   overlap ranks=... reduced_mib=... buckets=... reduce_seconds=... blocked_seconds=... hidden=...
// reduce_seconds is the sum of the times of a step's buckets of 1 MiB, blocked_seconds what the
// step still waits for them after its last backward kernel, hidden = 1 - blocked / reduce: medians
// over the steps of all ranks.
#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

#include "common/log.h"
#include "worker/bench/work.h"
#include "worker/gloo_collective.h"
#include "worker/model/train_step.h"
#include "worker/rendezvous_memory.h"

namespace navit {
namespace {

// Adds up the time that sums of the gradients take.
class TimedCollective : public GlooCollective {
 public:
  TimedCollective(const GlooOptions& options, const AlignedBuffer& gradients)
      : GlooCollective(options),
        begin_(gradients.data()),
        end_(gradients.data() + gradients.size()) {}

  using GlooCollective::AllReduceSum;
  absl::Status AllReduceSum(absl::Span<float> values) override {
    const double start = Seconds();
    const absl::Status status = GlooCollective::AllReduceSum(values);
    if (values.data() >= begin_ && values.data() < end_) {
      seconds += Seconds() - start;
      ++buckets;
    }
    return status;
  }

  // Read and set between steps.
  double seconds = 0;
  int buckets = 0;

 private:
  const float* const begin_;
  const float* const end_;
};

struct Overlap {
  int buckets = 0;
  std::vector<double> reduce, blocked, hidden;
};

Overlap RunRank(const ParameterTable& table, int rank, int ranks, int steps, int sequences,
                RendezvousStore* store) {
  ModelState state(table);
  InitializeState(table, 1, &state);
  TimedCollective collective({.rank = rank, .world_size = ranks}, state.gradients);
  NAVIT_CHECK(collective.Connect(store).ok());
  const std::vector<Batch> packs = DrawPacks(
      table.config(), {.sequences = sequences, .sequence_tokens = 576, .most_image_tokens = 200});
  double backward_end = 0;
  kernels::ThreadPool pool(1);
  TrainStep step(&table, TrainStepOptions(), &state, &pool, [&](v1::Phase phase) {
    if (phase == v1::PHASE_ALL_REDUCE) backward_end = Seconds();
  });
  Overlap overlap;
  // The first step allocates and is left out.
  for (int i = 0; i <= steps; ++i) {
    collective.seconds = 0;
    collective.buckets = 0;
    const absl::StatusOr<StepGradients> result = step.ComputeGradients(packs, &collective);
    const double blocked = Seconds() - backward_end;
    NAVIT_CHECK(result.ok());
    step.Apply(*result, 0.5, 1).status().IgnoreError();
    if (i == 0) continue;
    overlap.buckets = collective.buckets;
    overlap.reduce.push_back(collective.seconds);
    overlap.blocked.push_back(blocked);
    overlap.hidden.push_back(1 - blocked / collective.seconds);
  }
  return overlap;
}

int Run(int ranks, int steps, int sequences, int64_t width, int64_t depth) {
  const ParameterTable table(BenchModel(width, depth, width / 64));
  MemoryRendezvousStore store;
  std::vector<Overlap> overlaps(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back(
        [&, rank] { overlaps[rank] = RunRank(table, rank, ranks, steps, sequences, &store); });
  }
  for (std::thread& thread : threads) thread.join();
  Overlap all;
  for (const Overlap& one : overlaps) {
    all.reduce.insert(all.reduce.end(), one.reduce.begin(), one.reduce.end());
    all.blocked.insert(all.blocked.end(), one.blocked.begin(), one.blocked.end());
    all.hidden.insert(all.hidden.end(), one.hidden.begin(), one.hidden.end());
  }
  std::printf(
      "overlap ranks=%d width=%d depth=%d sequences=%d reduced_mib=%.1f buckets=%d "
      "reduce_seconds=%.4f blocked_seconds=%.4f hidden=%.3f\n",
      ranks, static_cast<int>(width), static_cast<int>(depth), sequences,
      static_cast<double>(table.total_size()) * sizeof(float) / (1 << 20), overlaps[0].buckets,
      Median(all.reduce), Median(all.blocked), Median(all.hidden));
  return 0;
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return std::max(1, navit::Argument(argc, argv, index, otherwise));
  };
  return navit::Run(argument(1, 2), argument(2, 10), argument(3, 4), argument(4, 384),
                    argument(5, 4));
}
