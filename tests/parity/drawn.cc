#include "tests/parity/drawn.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace navit {

uint64_t DrawnWord(const std::string& name, uint64_t i) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  uint64_t z = hash + i + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::vector<float> DrawnReals(const std::string& name, size_t count, float scale) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = (static_cast<float>(DrawnWord(name, i) >> 40) * 0x1p-23f - 1.0f) * scale;
  }
  return values;
}

uint32_t DrawnWhole(const std::string& name, uint64_t i, uint32_t below) {
  return static_cast<uint32_t>(DrawnWord(name, i) >> 40) % below;
}

void DrawParameters(const ParameterTable& table, ModelState* state) {
  for (const ParameterInfo& info : table.entries()) {
    float offset = 0, scale = 0.25f;
    if (absl::EndsWith(info.name, "gain")) {
      offset = 1;
    } else if (absl::EndsWith(info.name, "bias")) {
      scale = 0.125f;
    } else if (info.name == "loss.logit_scale") {
      offset = 2;
      scale = 0.5f;
    }
    const std::vector<float> values = DrawnReals(info.name, info.size, scale);
    for (size_t i = 0; i < info.size; ++i) {
      state->parameters.data()[info.offset + i] = offset + values[i];
    }
  }
}

Batch DrawnBatch(const ModelConfig& config, uint64_t first) {
  constexpr std::pair<int, int> kGrids[] = {{3, 4}, {1, 1}, {7, 2}, {2, 8}, {5, 5}};
  constexpr int kLengths[] = {5, 1, 12, 3, 7};
  Batch batch;
  batch.planned_examples = 5;
  for (uint64_t i = 0; i < 5; ++i) {
    const std::string name = absl::StrCat("example.", first + i);
    const auto [rows, columns] = kGrids[i];
    batch.grids.push_back(static_cast<uint16_t>(rows));
    batch.grids.push_back(static_cast<uint16_t>(columns));
    int32_t tokens = 0;
    for (int place = 0; place < rows * columns; ++place) {
      if (place % 5 == 3) continue;
      batch.positions.push_back(static_cast<uint16_t>(place / columns));
      batch.positions.push_back(static_cast<uint16_t>(place % columns));
      ++tokens;
    }
    for (int64_t byte = 0; byte < tokens * config.patch_dim(); ++byte) {
      batch.patches.push_back(static_cast<char>(DrawnWhole(name + ".patches", byte, 256)));
    }
    batch.samples.push_back(first + i);
    batch.image_cu_seqlens.push_back(batch.image_cu_seqlens.back() + tokens);
    if (!config.has_text()) {
      const auto classes = static_cast<uint32_t>(config.classes);
      batch.labels.push_back(static_cast<int32_t>(DrawnWhole(name + ".label", 0, classes)));
      continue;
    }
    for (int id = 0; id < kLengths[i]; ++id) {
      batch.text.push_back(static_cast<uint16_t>(DrawnWhole(name + ".text", id, 258)));
    }
    batch.caption_hashes.push_back(i == 0 || i == 2 ? 1 : 100 + first + i);
    batch.text_cu_seqlens.push_back(batch.text_cu_seqlens.back() + kLengths[i]);
  }
  return batch;
}

}  // namespace navit
