#include "worker/model/train_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/job_kind.h"
#include "worker/collective_threads.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

using ::testing::ElementsAre;

// One rank's model and step.
struct Replica {
  explicit Replica(const ModelConfig& config, const TrainStepOptions& options = {}, int threads = 1)
      : table(config),
        state(table),
        pool(threads),
        step(&table, options, &state, &pool, [this](v1::Phase phase) { phases.push_back(phase); }) {
    InitializeState(table, 17, &state);
    // Away from the initial values of gains and biases, which hide mistakes.
    for (const ParameterInfo& info : table.entries()) {
      if (info.name == "loss.logit_scale") continue;
      for (size_t i = 0; i < info.size; i += 2) state.parameters.data()[info.offset + i] += 0.03f;
    }
  }

  std::vector<float> gradients() const {
    return {state.gradients.span().begin(), state.gradients.span().end()};
  }

  ParameterTable table;
  ModelState state;
  kernels::ThreadPool pool;
  std::vector<v1::Phase> phases;
  TrainStep step;
};

// A model for one of the losses, and what trains it.
struct Task {
  explicit Task(v1::LossSpec::Kind kind)
      : config(IsClassification(kind) ? SmallClassifierConfig(kind) : SmallModelConfig()) {
    config.loss = kind;
    options.loss.set_kind(kind);
    if (IsClassification(kind)) options.loss.set_label_smoothing(0.1);
  }

  ModelConfig config;
  TrainStepOptions options;
};

std::vector<Task> Tasks() {
  return {Task(v1::LossSpec::SOFTMAX), Task(v1::LossSpec::SIGMOID),
          Task(v1::LossSpec::SOFTMAX_CLASSIFICATION), Task(v1::LossSpec::SIGMOID_CLASSIFICATION)};
}

// Seven packs of 22 examples in all; one of holes only.
std::vector<Batch> Packs(const ModelConfig& config = SmallModelConfig()) {
  const std::vector<std::vector<ExampleShape>> shapes = {
      {{9, 3}, {1, 1}, {0, 0}, {16, 8}},
      {{33, 20}},
      {{5, 24}, {6, 2}, {7, 3}, {8, 4}, {9, 5}},
      {{0, 0}, {0, 0}},
      {{12, 6}, {14, 7}, {2, 2}},
      {{20, 9}, {3, 12}, {4, 1}, {10, 10}},
      {{11, 11}, {13, 2}, {1, 4}, {17, 5}, {6, 6}, {2, 9}},
  };
  std::vector<Batch> packs;
  uint64_t sample = 0;
  for (const std::vector<ExampleShape>& pack : shapes) {
    packs.push_back(DrawBatch(config, 99, sample, pack));
    sample += pack.size();
  }
  // An equal caption across packs.
  if (config.has_text()) packs[6].caption_hashes[2] = packs[0].caption_hashes[1];
  return packs;
}

StepGradients Compute(Replica* replica, absl::Span<const Batch> packs) {
  const auto collectives = MakeThreadCollectives(1);
  const absl::StatusOr<StepGradients> result =
      replica->step.ComputeGradients(packs, collectives[0].get());
  EXPECT_TRUE(result.ok()) << result.status();
  return result.value_or(StepGradients());
}

void ExpectNear(const std::vector<float>& actual, const std::vector<float>& expected,
                const ParameterTable& table, double tolerance) {
  for (const ParameterInfo& info : table.entries()) {
    double largest = 0;
    for (size_t i = info.offset; i < info.offset + info.size; ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    }
    for (size_t i = info.offset; i < info.offset + info.size; ++i) {
      ASSERT_NEAR(actual[i], expected[i], tolerance * largest + 1e-8) << info.name;
    }
  }
}

// Of every tensor.
void CheckFiniteDifferences(Replica* trained, const std::vector<Batch>& packs) {
  Replica& replica = *trained;
  Compute(&replica, packs);
  const std::vector<float> gradients = replica.gradients();
  float* parameters = replica.state.parameters.data();
  for (const ParameterInfo& info : replica.table.entries()) {
    // Along the gradient of each tensor by itself: the loss changes by |gradient| per unit.
    double norm = 0;
    for (size_t i = info.offset; i < info.offset + info.size; ++i) {
      norm += std::pow(gradients[i], 2);
    }
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 0) << info.name;
    // A step that moves the loss well above its rounding and stays small beside the weights.
    const double step = std::min(2e-3 / norm, 0.02);
    const std::vector<float> saved(parameters + info.offset, parameters + info.offset + info.size);
    double losses[2];
    for (const int sign : {1, -1}) {
      for (size_t i = 0; i < info.size; ++i) {
        parameters[info.offset + i] =
            saved[i] + static_cast<float>(sign * step * gradients[info.offset + i] / norm);
      }
      losses[sign > 0 ? 0 : 1] = Compute(&replica, packs).loss;
    }
    std::copy(saved.begin(), saved.end(), parameters + info.offset);
    EXPECT_NEAR((losses[0] - losses[1]) / (2 * step), norm, 0.02 * norm + 1e-6 / step) << info.name;
  }
}

TEST(TrainStep, GradientsAgreeWithFiniteDifferencesOfTheWholeModel) {
  for (const Task& task : Tasks()) {
    SCOPED_TRACE(v1::LossSpec::Kind_Name(task.config.loss));
    Replica replica(task.config, task.options);
    CheckFiniteDifferences(&replica, Packs(task.config));
  }
}

TEST(TrainStep, PackingChangesNeitherTheLossNorItsGradients) {
  for (const Task& task : Tasks()) {
    SCOPED_TRACE(v1::LossSpec::Kind_Name(task.config.loss));
    const std::vector<Batch> packs = Packs(task.config);
    std::vector<Batch> alone;
    for (const Batch& pack : packs) {
      for (size_t i = 0; i < pack.samples.size(); ++i) {
        alone.push_back(Single(pack, task.config, static_cast<int64_t>(i)));
      }
    }
    Replica packed(task.config, task.options), unpacked(task.config, task.options);
    EXPECT_EQ(Compute(&packed, packs).loss, Compute(&unpacked, alone).loss);
    ExpectNear(packed.gradients(), unpacked.gradients(), packed.table, 2e-5);
  }
}

TEST(TrainStep, TheBackwardPassEndsWhereNothingLearns) {
  const ModelConfig config = SmallModelConfig();
  Replica whole(config);
  Compute(&whole, Packs());
  const std::vector<float> wanted = whole.gradients();
  for (const std::string learns : {"image.projection", "image.blocks", "text.pool"}) {
    const std::string tower = learns.substr(0, learns.find('.') + 1);
    TrainStepOptions options;
    options.optimizer.rules.resize(whole.table.entries().size());
    for (size_t i = 0; i < options.optimizer.rules.size(); ++i) {
      const std::string& name = whole.table.entries()[i].name;
      options.optimizer.rules[i].frozen =
          absl::StartsWith(name, tower) && !absl::StartsWith(name, learns);
    }
    Replica part(config, options);
    Compute(&part, Packs());
    const std::vector<float> gradients = part.gradients();
    bool below = false;
    for (size_t i = 0; i < options.optimizer.rules.size(); ++i) {
      const ParameterInfo& info = whole.table.entries()[i];
      const bool computed =
          std::any_of(gradients.begin() + info.offset, gradients.begin() + info.offset + info.size,
                      [](float g) { return g != 0; });
      if (info.name == tower + "patch_embed.weight" || info.name == tower + "token_embed") {
        EXPECT_FALSE(computed) << learns;
        below = true;
      }
      if (options.optimizer.rules[i].frozen) continue;
      for (size_t j = info.offset; j < info.offset + info.size; ++j) {
        ASSERT_EQ(gradients[j], wanted[j]) << learns << ": " << info.name;
      }
    }
    EXPECT_TRUE(below);
  }
}

// Which packs each rank gets.
using Deal = std::vector<std::vector<int>>;

struct Outcome {
  std::vector<StepGradients> results;
  std::vector<std::vector<float>> gradients;
  std::vector<std::vector<float>> parameters;
};

// Two steps of all ranks.
Outcome RunDeal(const std::vector<Batch>& packs, const Deal& deal, const TrainStepOptions& options,
                int threads = 1, const ModelConfig& config = SmallModelConfig()) {
  Outcome outcome;
  outcome.results.resize(deal.size());
  outcome.gradients.resize(deal.size());
  outcome.parameters.resize(deal.size());
  RunRanks(static_cast<int>(deal.size()), [&](Collective* collective) {
    const int rank = collective->rank();
    std::vector<Batch> mine;
    for (const int pack : deal[rank]) mine.push_back(packs[pack]);
    Replica replica(config, options, threads);
    for (int step = 0; step < 2; ++step) {
      const absl::StatusOr<StepGradients> result = replica.step.ComputeGradients(mine, collective);
      ASSERT_TRUE(result.ok()) << result.status();
      if (step == 0) {
        outcome.results[rank] = *result;
        outcome.gradients[rank] = replica.gradients();
      }
      ASSERT_TRUE(replica.step.Apply(*result, 0.5, 1).ok());
    }
    const absl::Span<const float> parameters = replica.state.parameters.span();
    outcome.parameters[rank].assign(parameters.begin(), parameters.end());
  });
  return outcome;
}

// Unequal numbers of packs; ranks without packs and with holes only.
void CheckDeals(const ModelConfig& config, const TrainStepOptions& options) {
  const std::vector<Batch> packs = Packs(config);
  Replica single(config, options);
  const StepGradients expected = Compute(&single, packs);
  EXPECT_EQ(expected.valid_examples, 22);
  const std::vector<float> gradients = single.gradients();
  for (const Deal& deal : std::vector<Deal>{{{0, 1, 2}, {3, 4, 5, 6}},
                                            {{6, 5, 4, 3, 2, 1, 0}, {}},
                                            {{3}, {0, 1, 2, 4, 5}, {6}},
                                            {{0}, {1, 2}, {}, {3}, {4, 5, 6}}}) {
    SCOPED_TRACE(::testing::PrintToString(deal));
    const Outcome outcome = RunDeal(packs, deal, options, 1, config);
    for (size_t rank = 0; rank < deal.size(); ++rank) {
      EXPECT_EQ(outcome.results[rank].valid_examples, 22);
      EXPECT_NEAR(outcome.results[rank].loss, expected.loss, 1e-5);
      EXPECT_EQ(outcome.results[rank].loss, outcome.results[0].loss);
      ExpectNear(outcome.gradients[rank], gradients, single.table, 5e-5);
      // Replicas stay equal to the bit.
      EXPECT_EQ(outcome.gradients[rank], outcome.gradients[0]);
      EXPECT_EQ(outcome.parameters[rank], outcome.parameters[0]);
    }
  }
}

TEST(TrainStep, AnyDealGivesTheGradientsOfOneProcess) {
  for (const Task& task : Tasks()) {
    SCOPED_TRACE(v1::LossSpec::Kind_Name(task.config.loss));
    CheckDeals(task.config, task.options);
  }
}

TEST(TrainStep, TheSameDealGivesTheSameBits) {
  const std::vector<Batch> packs = Packs();
  const Deal deal = {{0, 3, 6}, {1, 2, 4, 5}};
  TrainStepOptions options;
  options.bucket_bytes = 4096;
  const Outcome first = RunDeal(packs, deal, options, 2);
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Outcome again = RunDeal(packs, deal, options, 2);
    EXPECT_EQ(again.results[1].loss, first.results[1].loss);
    EXPECT_EQ(again.gradients, first.gradients);
    EXPECT_EQ(again.parameters, first.parameters);
  }
}

void CheckMicroBatches(const ModelConfig& config, TrainStepOptions options) {
  const std::vector<Batch> packs = Packs(config);
  Replica together(config, options);
  options.micro_batch_tokens = 30;
  Replica all_kept(config, options);
  const StepGradients expected = Compute(&all_kept, packs);
  for (const int64_t bytes : {int64_t{1}, int64_t{900} << 10}) {
    options.activation_bytes = bytes;
    Replica replica(config, options);
    // Twice: the buffers of the first step are reused.
    Compute(&replica, packs);
    EXPECT_EQ(Compute(&replica, packs).loss, expected.loss);
    EXPECT_EQ(replica.gradients(), all_kept.gradients());
  }
  EXPECT_NEAR(Compute(&together, packs).loss, expected.loss, 1e-6);
  ExpectNear(together.gradients(), all_kept.gradients(), together.table, 2e-5);
}

TEST(TrainStep, MicroBatchesThatAreComputedTwiceGiveTheSameBits) {
  for (const Task& task : Tasks()) {
    SCOPED_TRACE(v1::LossSpec::Kind_Name(task.config.loss));
    CheckMicroBatches(task.config, task.options);
  }
}

TEST(TrainStep, AStepWithoutExamplesCommitsWithoutAnUpdate) {
  const Batch holes = DrawBatch(SmallModelConfig(), 1, 0, {{0, 0}, {0, 0}});
  RunRanks(2, [&](Collective* collective) {
    Replica replica(SmallModelConfig());
    const std::vector<float> before(replica.state.parameters.span().begin(),
                                    replica.state.parameters.span().end());
    std::vector<Batch> mine;
    if (collective->rank() == 0) mine.push_back(holes);
    const absl::StatusOr<StepGradients> result = replica.step.ComputeGradients(mine, collective);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->valid_examples, 0);
    EXPECT_EQ(result->loss, 0);
    const UpdateResult update = *replica.step.Apply(*result, 0.5, 1);
    EXPECT_TRUE(update.skipped);
    EXPECT_EQ(replica.state.updates, 0u);
    EXPECT_EQ(replica.state.parameters.span(), absl::MakeConstSpan(before));
  });
}

TEST(TrainStep, NonFiniteWeightsAreReportedAndSkipped) {
  Replica replica(SmallModelConfig());
  replica.state.parameters.data()[replica.table.Find("image.norm.gain").offset] =
      std::numeric_limits<float>::quiet_NaN();
  const StepGradients gradients = Compute(&replica, Packs());
  EXPECT_FALSE(std::isfinite(gradients.loss));
  EXPECT_TRUE(replica.step.Apply(gradients, 0.5, 1)->skipped);
}

TEST(TrainStep, ReportsItsPhases) {
  Replica replica(SmallModelConfig());
  const StepGradients gradients = Compute(&replica, Packs());
  EXPECT_GT(gradients.useful_flops, 1e6);
  ASSERT_TRUE(replica.step.Apply(gradients, 0.5, 1).ok());
  EXPECT_THAT(replica.phases, ElementsAre(v1::PHASE_FORWARD, v1::PHASE_LOSS, v1::PHASE_BACKWARD,
                                          v1::PHASE_ALL_REDUCE, v1::PHASE_OPTIMIZER));
}

// A collective that works until a given number of calls, then aborts all ranks.
class AbortingCollective final : public Collective {
 public:
  AbortingCollective(Collective* wrapped, int calls) : wrapped_(wrapped), calls_(calls) {}
  int rank() const override { return wrapped_->rank(); }
  int world_size() const override { return wrapped_->world_size(); }
  absl::Status AllReduceSum(absl::Span<float> values) override {
    Count();
    return wrapped_->AllReduceSum(values);
  }
  absl::Status AllReduceSum(absl::Span<double> values) override {
    Count();
    return wrapped_->AllReduceSum(values);
  }
  absl::Status AllReduceMax(absl::Span<float> values) override {
    Count();
    return wrapped_->AllReduceMax(values);
  }
  absl::Status AllGather(absl::Span<const float> mine, absl::Span<const size_t> counts,
                         absl::Span<float> all) override {
    Count();
    return wrapped_->AllGather(mine, counts, all);
  }
  absl::Status AllGather(absl::Span<const uint64_t> mine, absl::Span<const size_t> counts,
                         absl::Span<uint64_t> all) override {
    Count();
    return wrapped_->AllGather(mine, counts, all);
  }
  absl::Status ReduceScatter(absl::Span<const float> partial, absl::Span<const size_t> counts,
                             absl::Span<float> mine) override {
    Count();
    return wrapped_->ReduceScatter(partial, counts, mine);
  }
  absl::Status Broadcast(absl::Span<char> bytes, int root) override {
    Count();
    return wrapped_->Broadcast(bytes, root);
  }
  void Abort() override { wrapped_->Abort(); }

 private:
  void Count() {
    if (calls_-- == 0) wrapped_->Abort();
  }

  Collective* wrapped_;
  int calls_;
};

TEST(TrainStep, AnAbortAtAnyCallEndsAllRanksAndLeavesTheWeights) {
  const std::vector<Batch> packs = Packs();
  TrainStepOptions options;
  options.bucket_bytes = 16 << 10;
  int calls = 0;
  // From the first call of the loss to the last bucket: until the abort comes too late.
  for (bool failed = true; failed; ++calls) {
    failed = false;
    RunRanks(2, [&](Collective* collective) {
      Replica replica(SmallModelConfig(), options);
      const std::vector<float> before(replica.state.parameters.span().begin(),
                                      replica.state.parameters.span().end());
      const absl::Span<const Batch> mine =
          absl::MakeConstSpan(packs).subspan(collective->rank() * 3, 3);
      if (collective->rank() == 1) {
        AbortingCollective aborting(collective, calls);
        failed = !replica.step.ComputeGradients(mine, &aborting).ok();
      } else {
        // May have finished the last call before the abort; its error, if any, is a clean one.
        (void)replica.step.ComputeGradients(mine, collective);
      }
      EXPECT_EQ(replica.state.parameters.span(), absl::MakeConstSpan(before));
    });
  }
  EXPECT_GT(calls, 10);
}

TEST(TrainStep, LearnsRandomPairsByHeart) {
  const ModelConfig config = SmallModelConfig();
  std::vector<Batch> packs;
  for (int pack = 0; pack < 3; ++pack) {
    packs.push_back(DrawBatch(config, 7, 100 * pack, std::vector<ExampleShape>(8, {6, 5})));
  }
  TrainStepOptions options;
  options.optimizer.lr = 3e-3;
  options.optimizer.schedule.kind = v1::ScheduleSpec::CONSTANT;
  options.optimizer.schedule.warmup_fraction = 0.1;
  Replica replica(config, options);
  double first = 0, last = 0;
  constexpr int kSteps = 60;
  for (int step = 1; step <= kSteps; ++step) {
    const StepGradients gradients = Compute(&replica, packs);
    if (step == 1) first = gradients.loss;
    last = gradients.loss;
    EXPECT_FALSE(replica.step.Apply(gradients, static_cast<double>(step) / kSteps, step)->skipped);
  }
  EXPECT_GT(first, 0.8 * std::log(24));
  EXPECT_LT(last, 0.3 * std::log(24));
}

}  // namespace
}  // namespace navit
