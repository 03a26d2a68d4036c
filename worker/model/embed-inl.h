// The embedder of embed.h on a forward machine (cpu_forward.h, device/forward.h), for the files
// that instantiate it.
#ifndef NAVIT_WORKER_MODEL_EMBED_INL_H_
#define NAVIT_WORKER_MODEL_EMBED_INL_H_

#include <optional>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "worker/model/arena.h"
#include "worker/model/embed.h"
#include "worker/model/image_tower.h"
#include "worker/model/text_tower.h"

namespace navit {

template <typename Machine>
class EmbedderOn : public PackEmbedder {
 public:
  using Ops = typename Machine::Ops;

  EmbedderOn(const ParameterTable* table, int64_t joined_tokens, Machine machine)
      : config_(table->config()),
        joined_tokens_(joined_tokens),
        machine_(std::move(machine)),
        image_tower_(*table) {
    if (config_.has_text()) text_tower_.emplace(*table);
  }

  int64_t joined_tokens() const override { return joined_tokens_; }

  absl::Status Embed(const Batch& batch, Embeddings* embeddings) override {
    embeddings->dim = config_.image_outputs();
    if (batch.examples() == 0) return absl::OkStatus();
    NAVIT_RETURN_IF_ERROR(Begin(batch));
    ImageTowerActivations<Ops> image;
    NAVIT_RETURN_IF_ERROR(Forward(image_tower_, &image));
    NAVIT_RETURN_IF_ERROR(machine_.Append(image.tower.embeddings(),
                                          batch.examples() * embeddings->dim, &embeddings->images));
    if (embeddings->keep_features) {
      NAVIT_RETURN_IF_ERROR(machine_.Append(
          image.tower.features(), batch.examples() * config_.image.width, &embeddings->features));
    }
    if (text_tower_.has_value()) NAVIT_RETURN_IF_ERROR(Texts(batch, &embeddings->texts));
    NAVIT_RETURN_IF_ERROR(End());
    const auto append = [](const auto& from, auto* to) {
      to->insert(to->end(), from.begin(), from.end());
    };
    append(batch.samples, &embeddings->samples);
    append(batch.caption_hashes, &embeddings->caption_hashes);
    append(batch.labels, &embeddings->labels);
    return absl::OkStatus();
  }

  absl::Status EmbedTexts(const Batch& batch, std::vector<float>* texts) override {
    if (batch.text_tokens() == 0) return absl::OkStatus();
    NAVIT_RETURN_IF_ERROR(Begin(batch));
    NAVIT_RETURN_IF_ERROR(Texts(batch, texts));
    return End();
  }

  absl::StatusOr<float> Parameter(size_t offset) override { return machine_.Parameter(offset); }

 private:
  absl::Status Begin(const Batch& batch) {
    NAVIT_RETURN_IF_ERROR(machine_.Start());
    NAVIT_RETURN_IF_ERROR(machine_.Load(batch, &input_));
    return machine_.Turn(&input_);
  }

  absl::Status End() {
    NAVIT_RETURN_IF_ERROR(machine_.Release(&input_));
    return machine_.TakeOutputs();
  }

  // The activations are good until the next call: both towers use the same memory.
  template <typename TowerType, typename Activations>
  absl::Status Forward(const TowerType& tower, Activations* activations) {
    Arena count;
    tower.LayOut(input_.batch(), &count, Keep::kOutputs);
    NAVIT_ASSIGN_OR_RETURN(float* const base, machine_.Reserve(count.used(), &memory_));
    Arena arena(base);
    *activations = tower.LayOut(input_.batch(), &arena, Keep::kOutputs);
    tower.Forward(machine_.parameters(), input_.batch(), *activations, machine_.context());
    return machine_.status();
  }

  absl::Status Texts(const Batch& batch, std::vector<float>* texts) {
    TowerActivations<Ops> text;
    NAVIT_RETURN_IF_ERROR(Forward(*text_tower_, &text));
    return machine_.Append(text.embeddings(), batch.examples() * config_.embedding_dim, texts);
  }

  const ModelConfig& config_;
  const int64_t joined_tokens_;
  Machine machine_;
  const ImageTower<Ops> image_tower_;
  // Absent with a classification loss.
  std::optional<TextTower<Ops>> text_tower_;
  typename Machine::Input input_;
  typename Machine::Memory memory_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_EMBED_INL_H_
