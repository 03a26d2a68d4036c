#include "worker/model/train_step.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/model/classification_loss.h"
#include "worker/model/contrastive_loss.h"
#include "worker/model/gradient_reducer.h"
#include "worker/model/image_tower.h"
#include "worker/model/text_tower.h"

namespace navit {
namespace {

// Examples that go through the towers together.
struct MicroBatch {
  Batch batch;
  // Index of its first example among this rank's.
  int64_t first_example = 0;
  // Where its activations are kept.
  size_t slot = 0;
};

// Consecutive packs, joined up to `max_tokens` image tokens; packs without examples are left out.
std::vector<MicroBatch> MakeMicroBatches(absl::Span<const Batch> packs, int64_t max_tokens) {
  std::vector<MicroBatch> result;
  int64_t first_example = 0;
  for (size_t begin = 0; begin < packs.size();) {
    int64_t tokens = packs[begin].image_tokens();
    std::vector<const Batch*> members = {&packs[begin]};
    size_t end = begin + 1;
    for (; end < packs.size() && tokens + packs[end].image_tokens() <= max_tokens; ++end) {
      tokens += packs[end].image_tokens();
      members.push_back(&packs[end]);
    }
    begin = end;
    MicroBatch micro;
    micro.batch = Concatenate(members);
    if (micro.batch.examples() == 0) continue;
    micro.first_example = first_example;
    first_example += micro.batch.examples();
    result.push_back(std::move(micro));
  }
  return result;
}

double UsefulTrainingFlops(const ModelConfig& config, const std::vector<MicroBatch>& micros) {
  std::vector<int64_t> image_tokens, text_tokens;
  const auto add = [](const std::vector<int32_t>& cu_seqlens, std::vector<int64_t>* lengths) {
    for (size_t i = 1; i < cu_seqlens.size(); ++i) {
      lengths->push_back(cu_seqlens[i] - cu_seqlens[i - 1]);
    }
  };
  for (const MicroBatch& micro : micros) {
    add(micro.batch.image_cu_seqlens, &image_tokens);
    add(micro.batch.text_cu_seqlens, &text_tokens);
  }
  return 3 * UsefulForwardFlops(config, image_tokens, text_tokens);
}

// End, in the flat array, of the last tensor of `tower` ("image.") that learns; 0: none does.
size_t LearnedEnd(const ParameterTable& table, const OptimizerOptions& optimizer,
                  absl::string_view tower) {
  size_t end = 0;
  for (size_t i = 0; i < table.entries().size(); ++i) {
    const ParameterInfo& info = table.entries()[i];
    const bool frozen = !optimizer.rules.empty() && optimizer.rules[i].frozen;
    if (!frozen && absl::StartsWith(info.name, tower)) end = info.offset + info.size;
  }
  return end;
}

// A buffer that grows to the largest size asked for.
float* Reserve(size_t floats, AlignedBuffer* buffer) {
  if (buffer->size() < floats) {
    *buffer = AlignedBuffer();  // Frees first: both at once may not fit.
    *buffer = AlignedBuffer(floats);
  }
  return buffer->data();
}

}  // namespace

v1::LossSpec DefaultLoss() {
  v1::LossSpec loss;
  loss.set_kind(v1::LossSpec::SOFTMAX);
  loss.set_equal_captions(v1::LossSpec::IGNORE);
  return loss;
}

absl::StatusOr<TrainStepOptions> ResolveTrainStepOptions(const v1::JobSpec& spec,
                                                         const ParameterTable& table) {
  TrainStepOptions options;
  NAVIT_ASSIGN_OR_RETURN(options.optimizer,
                         ResolveOptimizerOptions(spec.optimizer(), spec.schedule(), table));
  options.loss = spec.loss();
  return options;
}

class TrainStep::Impl {
 public:
  Impl(const ParameterTable* table, const TrainStepOptions& options, ModelState* state,
       kernels::ThreadPool* pool, PhaseCallback on_phase)
      : table_(*table),
        options_(options),
        state_(*state),
        pool_(*pool),
        on_phase_(std::move(on_phase)),
        image_tower_(*table),
        image_learned_end_(LearnedEnd(*table, options.optimizer, "image.")),
        text_learned_end_(LearnedEnd(*table, options.optimizer, "text.")) {
    if (table->config().has_text()) text_tower_.emplace(*table);
  }

  absl::StatusOr<StepGradients> ComputeGradients(absl::Span<const Batch> packs,
                                                 Collective* collective) {
    Enter(v1::PHASE_FORWARD);
    std::vector<MicroBatch> micros = MakeMicroBatches(packs, options_.micro_batch_tokens);
    AssignSlots(&micros);
    GatherOutputs(micros);

    Enter(v1::PHASE_LOSS);
    // The loss's own parameters come first in the flat array: theirs are the first gradients.
    std::fill_n(state_.gradients.data(), state_.gradients.size(), 0.0f);
    NAVIT_ASSIGN_OR_RETURN(StepGradients result, table_.config().has_text()
                                                     ? LossOfPairs(collective)
                                                     : LossOfLabels(collective));

    Enter(v1::PHASE_BACKWARD);
    if (result.valid_examples > 0) {
      GradientReducer reducer(state_.gradients.span(), options_.bucket_bytes / sizeof(float),
                              collective);
      Backward(micros, &reducer);
      Enter(v1::PHASE_ALL_REDUCE);
      NAVIT_RETURN_IF_ERROR(reducer.Finish());
    }
    result.useful_flops = UsefulTrainingFlops(table_.config(), micros);
    micros_ = std::move(micros);
    return result;
  }

  StepDiagnosis Diagnose() const {
    StepDiagnosis diagnosis;
    diagnosis.image_spread = EmbeddingSpread(images_, outputs_);
    diagnosis.text_spread = EmbeddingSpread(texts_, outputs_);
    if (micros_.empty()) return diagnosis;
    // The backward pass ends with the first micro-batch, whose activations are still there.
    const MicroBatch& first = micros_.front();
    const Activations& a = kept_[first.slot];
    AddAttentionLogits("text", table_.config().text, first.batch.text_cu_seqlens, a.text,
                       &diagnosis);
    AddAttentionLogits("image", table_.config().image, first.batch.image_cu_seqlens, a.image.tower,
                       &diagnosis);
    return diagnosis;
  }

  UpdateResult Apply(const StepGradients& gradients, double progress, uint64_t step) {
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
    return ApplyUpdate(table_, options_.optimizer, learning_rate, &state_, pool_);
  }

 private:
  struct Activations {
    ImageTowerActivations<> image;
    TowerActivations<> text;
  };

  void Enter(v1::Phase phase) const {
    if (on_phase_) on_phase_(phase);
  }

  Activations LayOut(const Batch& batch, Arena* arena) const {
    Activations a;
    a.image = image_tower_.LayOut(batch, arena);
    if (text_tower_.has_value()) a.text = text_tower_->LayOut(batch, arena);
    return a;
  }

  // Each micro-batch gets a slot of its own as long as their sizes fit activation_bytes; the rest
  // share the last slot, and all but the last of them are computed twice.
  void AssignSlots(std::vector<MicroBatch>* micros) {
    std::vector<size_t> sizes;
    size_t largest = 0;
    for (const MicroBatch& micro : *micros) {
      Arena count;
      LayOut(micro.batch, &count);
      sizes.push_back(count.used());
      largest = std::max(largest, count.used());
    }
    const size_t limit = static_cast<size_t>(options_.activation_bytes) / sizeof(float);
    size_t slots = 0;
    size_t used = 0;
    while (slots < sizes.size() && used + sizes[slots] <= limit) used += sizes[slots++];
    if (slots < sizes.size()) {
      // Room for the largest of those that share a slot.
      while (slots > 0 && used + largest > limit) used -= sizes[--slots];
      ++slots;
    }
    slots_.resize(std::max(slots_.size(), slots));
    for (size_t i = 0; i < micros->size(); ++i) (*micros)[i].slot = std::min(i, slots - 1);
  }

  // Forward pass of both towers into the micro-batch's slot.
  Activations Forward(const MicroBatch& micro) {
    Arena count;
    LayOut(micro.batch, &count);
    Arena arena(Reserve(count.used(), &slots_[micro.slot]));
    const Activations a = LayOut(micro.batch, &arena);
    const float* parameters = state_.parameters.data();
    image_tower_.Forward(parameters, micro.batch, a.image, pool_);
    if (text_tower_.has_value()) text_tower_->Forward(parameters, micro.batch, a.text, pool_);
    return a;
  }

  // Forward pass of all micro-batches, and this rank's outputs in one array.
  void GatherOutputs(const std::vector<MicroBatch>& micros) {
    for (std::vector<float>* all : {&images_, &texts_}) all->clear();
    caption_hashes_.clear();
    labels_.clear();
    kept_.assign(slots_.size(), {});
    resident_.assign(slots_.size(), -1);
    const auto append = [](const auto* from, size_t count, auto* to) {
      to->insert(to->end(), from, from + count);
    };
    for (size_t i = 0; i < micros.size(); ++i) {
      const Batch& batch = micros[i].batch;
      const Activations a = Forward(micros[i]);
      append(a.image.tower.embeddings(), batch.examples() * outputs_, &images_);
      if (text_tower_.has_value()) {
        append(a.text.embeddings(), batch.examples() * outputs_, &texts_);
      }
      append(batch.caption_hashes.data(), batch.caption_hashes.size(), &caption_hashes_);
      append(batch.labels.data(), batch.labels.size(), &labels_);
      kept_[micros[i].slot] = a;
      resident_[micros[i].slot] = static_cast<int64_t>(i);
    }
    dimages_.assign(images_.size(), 0.0f);
    dtexts_.assign(texts_.size(), 0.0f);
  }

  // The contrastive loss over the outputs of all ranks, and the gradients of its own parameters.
  absl::StatusOr<StepGradients> LossOfPairs(Collective* collective) {
    const size_t logit_scale = table_.Find("loss.logit_scale").offset;
    ContrastiveLossArgs args;
    args.dim = outputs_;
    args.images = images_;
    args.texts = texts_;
    args.caption_hashes = caption_hashes_;
    args.logit_scale_parameter = state_.parameters.data()[logit_scale];
    args.kind = options_.loss.kind();
    args.equal_captions = options_.loss.equal_captions();
    args.label_smoothing = static_cast<float>(options_.loss.label_smoothing());
    const ParameterInfo* logit_bias = table_.FindOrNull("loss.logit_bias");
    if (logit_bias != nullptr) args.logit_bias = state_.parameters.data()[logit_bias->offset];
    args.dimages = absl::MakeSpan(dimages_);
    args.dtexts = absl::MakeSpan(dtexts_);
    NAVIT_ASSIGN_OR_RETURN(const ContrastiveLossResult loss,
                           ContrastiveLoss(args, collective, pool_));
    state_.gradients.data()[logit_scale] = static_cast<float>(loss.dlogit_scale_parameter);
    if (logit_bias != nullptr) {
      state_.gradients.data()[logit_bias->offset] = static_cast<float>(loss.dlogit_bias);
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
  void Backward(const std::vector<MicroBatch>& micros, GradientReducer* reducer) {
    const float* parameters = state_.parameters.data();
    float* gradients = state_.gradients.data();
    for (size_t i = micros.size(); i-- > 0;) {
      const MicroBatch& micro = micros[i];
      if (resident_[micro.slot] != static_cast<int64_t>(i)) {
        kept_[micro.slot] = Forward(micro);
        resident_[micro.slot] = static_cast<int64_t>(i);
      }
      const Activations& a = kept_[micro.slot];
      GradientProgress progress;
      if (i == 0) progress = [reducer](size_t complete) { reducer->Complete(complete); };
      const size_t first = micro.first_example * outputs_;
      // The order of the parameter table: text, then image.
      if (text_tower_.has_value() && text_learned_end_ > 0) {
        Arena count;
        text_tower_->LayOutScratch(micro.batch, &count);
        Arena arena(Reserve(count.used(), &scratch_));
        text_tower_->Backward(parameters, gradients, micro.batch, a.text, dtexts_.data() + first,
                              text_tower_->LayOutScratch(micro.batch, &arena), text_learned_end_,
                              pool_, progress);
      }
      if (image_learned_end_ > 0) {
        Arena count;
        image_tower_.LayOutScratch(micro.batch, &count);
        Arena arena(Reserve(count.used(), &scratch_));
        image_tower_.Backward(parameters, gradients, micro.batch, a.image, dimages_.data() + first,
                              image_tower_.LayOutScratch(micro.batch, &arena), image_learned_end_,
                              pool_, progress);
      }
    }
  }

  void AddAttentionLogits(const char* name, const TowerConfig& tower,
                          absl::Span<const int32_t> cu_seqlens, const TowerActivations<>& a,
                          StepDiagnosis* diagnosis) const {
    const std::vector<int32_t> with_prefix = WithPrefix(cu_seqlens, tower.prefix_tokens);
    for (size_t layer = 0; layer < a.blocks.size(); ++layer) {
      diagnosis->attention_logits.emplace_back(
          absl::StrCat(name, ".blocks.", layer),
          LargestAttentionLogit(tower, with_prefix, a.blocks[layer], pool_));
    }
  }

  const ParameterTable& table_;
  const TrainStepOptions options_;
  ModelState& state_;
  kernels::ThreadPool& pool_;
  const PhaseCallback on_phase_;
  // Per example of each tower: an embedding, or the classifier's logits.
  const int64_t outputs_ = table_.config().image_outputs();
  const ImageTower<> image_tower_;
  // Absent with a classification loss.
  std::optional<TextTower<>> text_tower_;
  // Behind these nothing of the tower learns, and the backward pass ends.
  const size_t image_learned_end_, text_learned_end_;

  // Of the last step.
  std::vector<MicroBatch> micros_;
  // Activations, what lies in them now, and of which micro-batch (-1: none).
  std::vector<AlignedBuffer> slots_;
  std::vector<Activations> kept_;
  std::vector<int64_t> resident_;
  AlignedBuffer scratch_;
  // [n, outputs], [n]: this rank's outputs, their gradients, captions and labels.
  std::vector<float> images_, texts_, dimages_, dtexts_;
  std::vector<uint64_t> caption_hashes_;
  std::vector<int32_t> labels_;
};

TrainStep::TrainStep(const ParameterTable* table, const TrainStepOptions& options,
                     ModelState* state, kernels::ThreadPool* pool, PhaseCallback on_phase)
    : impl_(std::make_unique<Impl>(table, options, state, pool, std::move(on_phase))) {}

TrainStep::~TrainStep() = default;

absl::StatusOr<StepGradients> TrainStep::ComputeGradients(absl::Span<const Batch> packs,
                                                          Collective* collective) {
  return impl_->ComputeGradients(packs, collective);
}

UpdateResult TrainStep::Apply(const StepGradients& gradients, double progress, uint64_t step) {
  return impl_->Apply(gradients, progress, step);
}

StepDiagnosis TrainStep::Diagnose() const { return impl_->Diagnose(); }

}  // namespace navit
