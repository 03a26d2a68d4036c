#include "worker/model/embed.h"

#include "worker/model/aligned_buffer.h"
#include "worker/model/arena.h"
#include "worker/model/image_tower.h"
#include "worker/model/text_tower.h"

namespace navit {

void Embed(const ParameterTable& table, absl::Span<const float> parameters, const Batch& batch,
           kernels::ThreadPool* pool, Embeddings* embeddings) {
  const int64_t dim = table.config().embedding_dim;
  embeddings->dim = dim;
  if (batch.examples() == 0) return;
  const ImageTower image_tower(table);
  const TextTower text_tower(table);
  const auto append = [](const auto* data, size_t count, auto* to) {
    to->insert(to->end(), data, data + count);
  };
  const size_t floats = batch.examples() * dim;
  Arena count;
  image_tower.LayOut(batch, &count);
  text_tower.LayOut(batch, &count);
  AlignedBuffer buffer(count.used());
  Arena arena(buffer.data());
  const ImageTowerActivations image = image_tower.LayOut(batch, &arena);
  const TowerActivations text = text_tower.LayOut(batch, &arena);
  image_tower.Forward(parameters.data(), batch, image, *pool);
  text_tower.Forward(parameters.data(), batch, text, *pool);
  append(image.tower.embeddings(), floats, &embeddings->images);
  append(text.embeddings(), floats, &embeddings->texts);
  append(batch.samples.data(), batch.samples.size(), &embeddings->samples);
  append(batch.caption_hashes.data(), batch.caption_hashes.size(), &embeddings->caption_hashes);
}

}  // namespace navit
