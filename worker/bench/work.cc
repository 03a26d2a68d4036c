#include "worker/bench/work.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>

#include "worker/model/testing.h"

namespace navit {

ModelConfig BenchModel(int64_t width, int64_t depth, int64_t heads) {
  ModelConfig config;
  config.image = {.width = width, .depth = depth, .mlp_dim = 4 * width, .heads = heads};
  config.text = config.image;
  config.patch_size = 16;
  config.max_grid = 128;
  config.position_rows = 128;
  config.max_text_tokens = 64;
  config.embedding_dim = width;
  return config;
}

std::vector<Batch> DrawPacks(const ModelConfig& config, const BenchPacks& packs) {
  std::mt19937_64 draw(1);
  std::vector<Batch> batches;
  for (int pack = 0; pack < packs.sequences; ++pack) {
    std::vector<ExampleShape> shapes;
    for (int64_t left = packs.sequence_tokens; left > 0;) {
      const int64_t drawn = 20 + static_cast<int64_t>(draw() % (packs.most_image_tokens - 19));
      shapes.push_back({std::min(left, drawn), static_cast<int64_t>(10 + draw() % 31)});
      left -= shapes.back().image_tokens;
    }
    batches.push_back(DrawBatch(config, 1, 1000 * pack, shapes));
  }
  return batches;
}

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Argument(int argc, char** argv, int index, int otherwise) {
  return argc > index ? std::atoi(argv[index]) : otherwise;
}

}  // namespace navit
