// The step of train_step.h on a Machine (cpu_machine.h, device/machine.h), for the files that
// instantiate it.
#ifndef NAVIT_WORKER_MODEL_TRAIN_STEP_INL_H_
#define NAVIT_WORKER_MODEL_TRAIN_STEP_INL_H_

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "worker/model/classification_loss.h"
#include "worker/model/contrastive_loss.h"
#include "worker/model/gradient_reducer.h"
#include "worker/model/image_tower.h"
#include "worker/model/micro_batches.h"
#include "worker/model/text_tower.h"
#include "worker/model/train_step.h"

namespace navit {

class TrainStep::Impl {
 public:
  virtual ~Impl() = default;
  virtual absl::StatusOr<StepGradients> ComputeGradients(absl::Span<const Batch> packs,
                                                         Collective* collective,
                                                         const WhileBusy& while_busy) = 0;
  virtual absl::Status Prepare(absl::Span<const Batch> packs) = 0;
  virtual absl::StatusOr<StepGradients> ComputePrepared(Collective* collective,
                                                        const WhileBusy& while_busy) = 0;
  virtual absl::StatusOr<UpdateResult> Apply(const StepGradients& gradients, double progress,
                                             uint64_t step) = 0;
  virtual StepDiagnosis Diagnose() const = 0;
  virtual absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedder() = 0;
  virtual absl::Status ReadState() = 0;
  virtual absl::Status ReadGradients() = 0;
};

namespace internal {

// End, in the flat array, of the last tensor of `tower` ("image.") that learns; 0: none does.
inline size_t LearnedEnd(const ParameterTable& table, const OptimizerOptions& optimizer,
                         absl::string_view tower) {
  size_t end = 0;
  for (size_t i = 0; i < table.entries().size(); ++i) {
    const ParameterInfo& info = table.entries()[i];
    const bool frozen = !optimizer.rules.empty() && optimizer.rules[i].frozen;
    if (!frozen && absl::StartsWith(info.name, tower)) end = info.offset + info.size;
  }
  return end;
}

}  // namespace internal

// What a Machine does, cpu_machine.h says; the losses over labels are computed on the host.
template <typename Machine>
class TrainStepOn : public TrainStep::Impl {
 public:
  using Ops = typename Machine::Ops;
  using WhileBusy = TrainStep::WhileBusy;

  // `pool` is for the loss.
  TrainStepOn(const ParameterTable* table, const TrainStepOptions& options,
              kernels::ThreadPool* pool, TrainStep::PhaseCallback on_phase, Machine machine)
      : table_(*table),
        options_(options),
        pool_(*pool),
        on_phase_(std::move(on_phase)),
        machine_(std::move(machine)),
        image_tower_(*table),
        image_learned_end_(internal::LearnedEnd(*table, options.optimizer, "image.")),
        text_learned_end_(internal::LearnedEnd(*table, options.optimizer, "text.")) {
    if (table->config().has_text()) text_tower_.emplace(*table);
  }

  absl::StatusOr<StepGradients> ComputeGradients(absl::Span<const Batch> packs,
                                                 Collective* collective,
                                                 const WhileBusy& while_busy) override {
    Enter(v1::PHASE_FORWARD);
    NAVIT_RETURN_IF_ERROR(Prepare(packs));
    return Compute(collective, while_busy);
  }

  absl::Status Prepare(absl::Span<const Batch> packs) override {
    prepared_ = false;
    // Of a step that still computes nothing is touched but the free places of its inputs.
    std::vector<MicroBatch>& memory = busy_ || !next_.empty() ? next_ : micros_;
    next_ = MakeMicroBatches(packs, options_.micro_batch_tokens, std::exchange(memory, {}));
    PlaceActivations(&next_);
    for (Slot& slot : slots_) slot.loaded = -1;
    // Where nothing computes, the first forward pass waits for one of them alone.
    for (size_t i = 0; busy_ && i < next_.size(); ++i) {
      if (slots_[next_[i].slot].loaded < 0) NAVIT_RETURN_IF_ERROR(Load(next_[i], i));
    }
    prepared_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<StepGradients> ComputePrepared(Collective* collective,
                                                const WhileBusy& while_busy) override {
    if (!prepared_) return absl::FailedPreconditionError("no packs were prepared for this step");
    Enter(v1::PHASE_FORWARD);
    return Compute(collective, while_busy);
  }

  StepDiagnosis Diagnose() const override {
    StepDiagnosis diagnosis;
    diagnosis.image_spread = EmbeddingSpread(images_, outputs_);
    diagnosis.text_spread = EmbeddingSpread(texts_, outputs_);
    if (micros_.empty()) return diagnosis;
    // The backward pass ends with the first micro-batch, whose activations are still there.
    const MicroBatch& first = micros_.front();
    const Activations& a = kept_[first.slot];
    machine_.AddAttentionLogits("text", table_.config().text, first.batch.text_cu_seqlens, a.text,
                                &diagnosis);
    machine_.AddAttentionLogits("image", table_.config().image, first.batch.image_cu_seqlens,
                                a.image.tower, &diagnosis);
    return diagnosis;
  }

  absl::StatusOr<UpdateResult> Apply(const StepGradients& gradients, double progress,
                                     uint64_t step) override {
    Enter(v1::PHASE_OPTIMIZER);
    const double learning_rate =
        options_.optimizer.lr * ScheduleFactor(options_.optimizer.schedule, progress, step);
    if (gradients.valid_examples == 0) {
      UpdateResult result;
      result.learning_rate = learning_rate;
      result.logit_scale = gradients.logit_scale;
      result.skipped = true;
      return result;
    }
    return machine_.Update(table_, options_.optimizer, learning_rate);
  }

  absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedder() override {
    return machine_.MakeEmbedder(table_, options_.micro_batch_tokens);
  }

  absl::Status ReadState() override { return machine_.ReadState(); }
  absl::Status ReadGradients() override { return machine_.ReadGradients(); }

 private:
  using InputBatch = typename Ops::Batch;

  struct Activations {
    ImageTowerActivations<Ops> image;
    TowerActivations<Ops> text;
  };

  void Enter(v1::Phase phase) const {
    if (on_phase_) on_phase_(phase);
  }

  Activations LayOut(const InputBatch& batch, Arena* arena) const {
    Activations a;
    a.image = image_tower_.LayOut(batch, arena);
    if (text_tower_.has_value()) a.text = text_tower_->LayOut(batch, arena);
    return a;
  }

  // The step of the packs that were prepared.
  absl::StatusOr<StepGradients> Compute(Collective* collective, const WhileBusy& while_busy) {
    NAVIT_RETURN_IF_ERROR(machine_.Start());
    prepared_ = false;
    std::swap(micros_, next_);
    kept_.assign(slots_.size(), {});
    resident_.assign(slots_.size(), -1);
    NAVIT_RETURN_IF_ERROR(GatherOutputs());

    Enter(v1::PHASE_LOSS);
    // The loss's own parameters come first in the flat array: theirs are the first gradients.
    machine_.ZeroGradients();
    NAVIT_ASSIGN_OR_RETURN(StepGradients result, table_.config().has_text()
                                                     ? LossOfPairs(collective)
                                                     : LossOfLabels(collective));

    Enter(v1::PHASE_BACKWARD);
    if (result.valid_examples > 0) {
      GradientReducer reducer(machine_.gradients(), options_.bucket_bytes / sizeof(float),
                              collective);
      if (const absl::Status status = Backward(while_busy, &reducer); !status.ok()) {
        // What was queued tells the reducer of its progress.
        machine_.Finish().IgnoreError();
        return status;
      }
      Enter(v1::PHASE_ALL_REDUCE);
      NAVIT_RETURN_IF_ERROR(reducer.Finish());
    }
    result.useful_flops = UsefulTrainingFlops(table_.config(), micros_);
    return result;
  }

  // Gives each micro-batch a slot.
  void PlaceActivations(std::vector<MicroBatch>* micros) {
    std::vector<size_t> sizes;
    for (const MicroBatch& micro : *micros) {
      Arena count;
      LayOut(Machine::Shape(micro.batch), &count);
      sizes.push_back(count.used());
    }
    const size_t limit = static_cast<size_t>(options_.activation_bytes) / sizeof(float);
    const size_t slots = AssignSlots(sizes, limit, micros);
    if (slots_.size() < slots) slots_.resize(slots);
  }

  // Brings micro-batch `index` of its step to the next place of its slot's input.
  absl::Status Load(const MicroBatch& micro, size_t index) {
    Slot& slot = slots_[micro.slot];
    slot.loaded = static_cast<int64_t>(index);
    return machine_.Load(micro.batch, &slot.input);
  }

  // Forward pass of both towers of micro-batch `index` into its slot.
  absl::Status Forward(size_t index) {
    const MicroBatch& micro = micros_[index];
    Slot& slot = slots_[micro.slot];
    if (slot.loaded != static_cast<int64_t>(index)) NAVIT_RETURN_IF_ERROR(Load(micro, index));
    slot.loaded = -1;
    NAVIT_RETURN_IF_ERROR(machine_.Turn(&slot.input));
    const InputBatch& batch = slot.input.batch();
    Arena count;
    LayOut(batch, &count);
    NAVIT_ASSIGN_OR_RETURN(float* const base, machine_.Reserve(count.used(), &slot.memory));
    Arena arena(base);
    const Activations a = LayOut(batch, &arena);
    const float* parameters = machine_.parameters();
    image_tower_.Forward(parameters, batch, a.image, machine_.context());
    if (text_tower_.has_value()) {
      text_tower_->Forward(parameters, batch, a.text, machine_.context());
    }
    kept_[micro.slot] = a;
    resident_[micro.slot] = static_cast<int64_t>(index);
    NAVIT_RETURN_IF_ERROR(machine_.Release(&slot.input));
    return machine_.status();
  }

  // Forward pass of all micro-batches, and this rank's outputs in one array.
  absl::Status GatherOutputs() {
    for (std::vector<float>* all : {&images_, &texts_}) all->clear();
    caption_hashes_.clear();
    labels_.clear();
    const auto append = [](const auto& from, auto* to) {
      to->insert(to->end(), from.begin(), from.end());
    };
    for (size_t i = 0; i < micros_.size(); ++i) {
      const Batch& batch = micros_[i].batch;
      NAVIT_RETURN_IF_ERROR(Forward(i));
      const Activations& a = kept_[micros_[i].slot];
      const int64_t count = batch.examples() * outputs_;
      NAVIT_RETURN_IF_ERROR(machine_.Append(a.image.tower.embeddings(), count, &images_));
      if (text_tower_.has_value()) {
        NAVIT_RETURN_IF_ERROR(machine_.Append(a.text.embeddings(), count, &texts_));
      }
      append(batch.caption_hashes, &caption_hashes_);
      append(batch.labels, &labels_);
    }
    NAVIT_RETURN_IF_ERROR(machine_.TakeOutputs());
    dimages_.assign(images_.size(), 0.0f);
    dtexts_.assign(texts_.size(), 0.0f);
    return absl::OkStatus();
  }

  // The contrastive loss over the outputs of all ranks, and the gradients of its own parameters.
  absl::StatusOr<StepGradients> LossOfPairs(Collective* collective) {
    const size_t logit_scale = table_.Find("loss.logit_scale").offset;
    ContrastiveLossArgs args;
    args.dim = outputs_;
    args.images = images_;
    args.texts = texts_;
    args.caption_hashes = caption_hashes_;
    args.logit_scale_parameter = machine_.LossParameter(logit_scale);
    args.kind = options_.loss.kind();
    args.equal_captions = options_.loss.equal_captions();
    args.label_smoothing = static_cast<float>(options_.loss.label_smoothing());
    const ParameterInfo* logit_bias = table_.FindOrNull("loss.logit_bias");
    if (logit_bias != nullptr) args.logit_bias = machine_.LossParameter(logit_bias->offset);
    args.dimages = absl::MakeSpan(dimages_);
    args.dtexts = absl::MakeSpan(dtexts_);
    NAVIT_ASSIGN_OR_RETURN(const ContrastiveLossResult loss,
                           ContrastiveLoss(args, collective, machine_.contrastive()));
    machine_.SetGradient(logit_scale, static_cast<float>(loss.dlogit_scale_parameter));
    if (logit_bias != nullptr) {
      machine_.SetGradient(logit_bias->offset, static_cast<float>(loss.dlogit_bias));
    }
    StepGradients result;
    result.loss = loss.loss;
    result.valid_examples = loss.examples;
    result.logit_scale = std::exp(args.logit_scale_parameter);
    return result;
  }

  absl::StatusOr<StepGradients> LossOfLabels(Collective* collective) {
    ClassificationLossArgs args;
    args.classes = outputs_;
    args.logits = images_;
    args.labels = labels_;
    args.kind = options_.loss.kind();
    args.label_smoothing = static_cast<float>(options_.loss.label_smoothing());
    args.dlogits = absl::MakeSpan(dimages_);
    NAVIT_ASSIGN_OR_RETURN(const ClassificationLossResult loss,
                           ClassificationLoss(args, collective, pool_));
    StepGradients result;
    result.loss = loss.loss;
    result.valid_examples = loss.examples;
    return result;
  }

  // Last micro-batch first: its activations are still there when slots are shared. Only the last
  // one to run completes gradients.
  absl::Status Backward(const WhileBusy& while_busy, GradientReducer* reducer) {
    for (size_t i = micros_.size(); i-- > 0;) {
      const MicroBatch& micro = micros_[i];
      if (resident_[micro.slot] != static_cast<int64_t>(i)) NAVIT_RETURN_IF_ERROR(Forward(i));
      const Activations& a = kept_[micro.slot];
      GradientProgress progress;
      if (i == 0 && reducer->has_peers()) progress = machine_.Progress(reducer);
      // The order of the parameter table: text, then image.
      if (text_tower_.has_value() && text_learned_end_ > 0) {
        NAVIT_RETURN_IF_ERROR(
            BackwardOf(*text_tower_, micro, a.text, dtexts_, text_learned_end_, progress));
      }
      if (image_learned_end_ > 0) {
        NAVIT_RETURN_IF_ERROR(
            BackwardOf(image_tower_, micro, a.image, dimages_, image_learned_end_, progress));
      }
      NAVIT_RETURN_IF_ERROR(machine_.Release(&slots_[micro.slot].input));
    }
    if (Machine::kRunsAhead && while_busy) {
      busy_ = true;
      while_busy();
      busy_ = false;
    }
    return machine_.Finish();
  }

  template <typename TowerType, typename TowerActivationsType>
  absl::Status BackwardOf(const TowerType& tower, const MicroBatch& micro,
                          const TowerActivationsType& activations,
                          const std::vector<float>& doutputs, size_t learned_end,
                          const GradientProgress& progress) {
    const InputBatch& batch = slots_[micro.slot].input.batch();
    Arena count;
    tower.LayOutScratch(batch, &count);
    NAVIT_ASSIGN_OR_RETURN(float* const base, machine_.Reserve(count.used(), &scratch_));
    Arena arena(base);
    NAVIT_ASSIGN_OR_RETURN(
        const auto* const dembeddings,
        machine_.OutputGradients(doutputs.data() + micro.first_example * outputs_,
                                 micro.batch.examples() * outputs_));
    tower.Backward(machine_.parameters(), machine_.gradients().data(), batch, activations,
                   dembeddings, tower.LayOutScratch(batch, &arena), learned_end, machine_.context(),
                   progress);
    return machine_.status();
  }

  const ParameterTable& table_;
  const TrainStepOptions options_;
  kernels::ThreadPool& pool_;
  const TrainStep::PhaseCallback on_phase_;
  Machine machine_;
  // Per example of each tower: an embedding, or the classifier's logits.
  const int64_t outputs_ = table_.config().image_outputs();
  const ImageTower<Ops> image_tower_;
  // Absent with a classification loss.
  std::optional<TextTower<Ops>> text_tower_;
  // Behind these nothing of the tower learns, and the backward pass ends.
  const size_t image_learned_end_, text_learned_end_;

  // Of the step at hand or the last one, and of the one that is prepared.
  std::vector<MicroBatch> micros_, next_;
  bool prepared_ = false;
  // In `while_busy`.
  bool busy_ = false;
  // Inputs and activations, what lies in them now, and of which micro-batch (-1: none).
  struct Slot {
    typename Machine::Input input;
    typename Machine::Memory memory;
    // The micro-batch in the input's next place, -1: none; of the step to come while one computes.
    int64_t loaded = -1;
  };
  std::vector<Slot> slots_;
  std::vector<Activations> kept_;
  std::vector<int64_t> resident_;
  typename Machine::Memory scratch_;
  // [n, outputs], [n]: this rank's outputs, their gradients, captions and labels.
  std::vector<float> images_, texts_, dimages_, dtexts_;
  std::vector<uint64_t> caption_hashes_;
  std::vector<int32_t> labels_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_TRAIN_STEP_INL_H_
