#include "worker/model/testing.h"

#include <random>

namespace navit {

ModelConfig SmallModelConfig() {
  ModelConfig config;
  config.image = {.width = 32, .depth = 1, .mlp_dim = 128, .heads = 2};
  config.text = {.width = 32, .depth = 1, .mlp_dim = 64, .heads = 2};
  config.patch_size = 4;
  config.max_grid = 16;
  config.position_rows = 16;
  config.max_text_tokens = 24;
  config.embedding_dim = 24;
  return config;
}

ModelConfig SmallClassifierConfig(v1::LossSpec::Kind kind) {
  ModelConfig config = SmallModelConfig();
  config.loss = kind;
  config.classes = 7;
  return config;
}

Batch DrawBatch(const ModelConfig& config, uint64_t seed, uint64_t first_sample,
                const std::vector<ExampleShape>& shapes) {
  Batch batch;
  batch.planned_examples = static_cast<int64_t>(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].image_tokens == 0) continue;
    const uint64_t sample = first_sample + i;
    // mt19937_64's output is fixed by the standard.
    std::mt19937_64 draw(seed * 1000003 + sample);
    const uint64_t rows = 1 + draw() % config.max_grid;
    const uint64_t columns = 1 + draw() % config.max_grid;
    batch.grids.push_back(static_cast<uint16_t>(rows));
    batch.grids.push_back(static_cast<uint16_t>(columns));
    for (int64_t token = 0; token < shapes[i].image_tokens; ++token) {
      for (int64_t value = 0; value < config.patch_dim(); ++value) {
        batch.patches.push_back(static_cast<char>(draw() >> 56));
      }
      batch.positions.push_back(static_cast<uint16_t>(draw() % rows));
      batch.positions.push_back(static_cast<uint16_t>(draw() % columns));
    }
    batch.samples.push_back(sample);
    batch.image_cu_seqlens.push_back(batch.image_cu_seqlens.back() +
                                     static_cast<int32_t>(shapes[i].image_tokens));
    if (!config.has_text()) {
      batch.labels.push_back(static_cast<int32_t>(draw() % config.classes));
      continue;
    }
    for (int64_t token = 0; token < shapes[i].text_tokens; ++token) {
      batch.text.push_back(static_cast<uint16_t>(draw() % config.text_vocabulary));
    }
    batch.caption_hashes.push_back(draw());
    batch.text_cu_seqlens.push_back(batch.text_cu_seqlens.back() +
                                    static_cast<int32_t>(shapes[i].text_tokens));
  }
  return batch;
}

Batch Single(const Batch& batch, const ModelConfig& config, int64_t index) {
  const int32_t image_begin = batch.image_cu_seqlens[index];
  const int32_t image_end = batch.image_cu_seqlens[index + 1];
  Batch single;
  single.planned_examples = 1;
  single.samples = {batch.samples[index]};
  single.image_cu_seqlens = {0, image_end - image_begin};
  single.patches = batch.patches.substr(image_begin * config.patch_dim(),
                                        (image_end - image_begin) * config.patch_dim());
  single.grids = {batch.grids[2 * index], batch.grids[2 * index + 1]};
  single.positions.assign(batch.positions.begin() + 2 * image_begin,
                          batch.positions.begin() + 2 * image_end);
  if (!config.has_text()) {
    single.labels = {batch.labels[index]};
    return single;
  }
  const int32_t text_begin = batch.text_cu_seqlens[index];
  const int32_t text_end = batch.text_cu_seqlens[index + 1];
  single.caption_hashes = {batch.caption_hashes[index]};
  single.text_cu_seqlens = {0, text_end - text_begin};
  single.text.assign(batch.text.begin() + text_begin, batch.text.begin() + text_end);
  return single;
}

}  // namespace navit
