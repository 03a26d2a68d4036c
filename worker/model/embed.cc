#include "worker/model/embed.h"

#include "worker/model/aligned_buffer.h"
#include "worker/model/arena.h"
#include "worker/model/image_tower.h"
#include "worker/model/text_tower.h"

namespace navit {
namespace {

void Append(const float* data, int64_t count, std::vector<float>* to) {
  to->insert(to->end(), data, data + count);
}

template <typename T>
void Append(const std::vector<T>& from, std::vector<T>* to) {
  to->insert(to->end(), from.begin(), from.end());
}

}  // namespace

void EmbedTexts(const ParameterTable& table, absl::Span<const float> parameters, const Batch& batch,
                kernels::ThreadPool* pool, std::vector<float>* texts) {
  const int64_t segments = static_cast<int64_t>(batch.text_cu_seqlens.size()) - 1;
  if (segments == 0) return;
  const TextTower tower(table);
  Arena count;
  tower.LayOut(batch, &count);
  AlignedBuffer buffer(count.used());
  Arena arena(buffer.data());
  const TowerActivations activations = tower.LayOut(batch, &arena);
  tower.Forward(parameters.data(), batch, activations, *pool);
  Append(activations.embeddings(), segments * table.config().embedding_dim, texts);
}

void Embed(const ParameterTable& table, absl::Span<const float> parameters, const Batch& batch,
           kernels::ThreadPool* pool, Embeddings* embeddings) {
  embeddings->dim = table.config().image_outputs();
  if (batch.examples() == 0) return;
  const ImageTower tower(table);
  Arena count;
  tower.LayOut(batch, &count);
  AlignedBuffer buffer(count.used());
  Arena arena(buffer.data());
  const ImageTowerActivations image = tower.LayOut(batch, &arena);
  tower.Forward(parameters.data(), batch, image, *pool);
  Append(image.tower.embeddings(), batch.examples() * embeddings->dim, &embeddings->images);
  if (embeddings->keep_features) {
    Append(image.tower.features(), batch.examples() * table.config().image.width,
           &embeddings->features);
  }
  if (table.config().has_text()) EmbedTexts(table, parameters, batch, pool, &embeddings->texts);
  Append(batch.samples, &embeddings->samples);
  Append(batch.caption_hashes, &embeddings->caption_hashes);
  Append(batch.labels, &embeddings->labels);
}

}  // namespace navit
