#include "worker/model/device/batch.h"

#include <cstring>
#include <functional>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "kernels/cuda/attention_work.h"
#include "kernels/position_table.h"
#include "kernels/rope.h"
#include "worker/model/cpu_ops.h"
#include "worker/model/position_embedding.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;
using kernels::PositionTap;
using kernels::cuda::PositionTaps;
using kernels::cuda::Selection;

constexpr size_t kAlignment = 256;

// Arrays one after the other, as they will lie in device memory. Pointers into it are set once its
// place is known.
class Packer {
 public:
  // `memory` is used for the arrays, what it holds is lost; Release gives it back.
  explicit Packer(std::vector<char> memory) : bytes_(std::move(memory)) { bytes_.clear(); }
  std::vector<char> Release() { return std::move(bytes_); }

  template <typename T>
  void Add(const T* data, size_t count, const T** pointer) {
    const size_t offset = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
    bytes_.resize(offset + count * sizeof(T));
    if (count > 0) std::memcpy(bytes_.data() + offset, data, count * sizeof(T));
    places_.push_back([pointer, offset](const char* base) {
      *pointer = reinterpret_cast<const T*>(base + offset);
    });
  }
  template <typename T>
  void Add(const std::vector<T>& values, const T** pointer) {
    Add(values.data(), values.size(), pointer);
  }

  // An array behind all others, which is large: it is read by Write alone.
  void AddLast(absl::string_view data, const uint8_t** pointer) {
    bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
    last_ = data;
    places_.push_back([pointer, offset = bytes_.size()](const char* base) {
      *pointer = reinterpret_cast<const uint8_t*>(base + offset);
    });
  }

  size_t size() const { return bytes_.size() + last_.size(); }
  void Write(char* to) const {
    std::memcpy(to, bytes_.data(), bytes_.size());
    std::memcpy(to + bytes_.size(), last_.data(), last_.size());
  }
  void Place(const void* base) const {
    for (const auto& place : places_) place(static_cast<const char*>(base));
  }

 private:
  std::vector<char> bytes_;
  absl::string_view last_;
  std::vector<std::function<void(const char*)>> places_;
};

void AddSegments(const std::vector<int32_t>& cu_seqlens, int64_t prefix_tokens, int64_t head_dim,
                 Packer* packer, DeviceSegments* to) {
  if (prefix_tokens > 0) {
    auto longer = std::make_shared<DeviceSegments>();
    AddSegments(WithPrefix(cu_seqlens, prefix_tokens), 0, head_dim, packer, longer.get());
    to->with_prefix = std::move(longer);
  }
  to->tokens = cu_seqlens.back();
  to->segments = static_cast<int64_t>(cu_seqlens.size()) - 1;
  packer->Add(cu_seqlens, &to->cu_seqlens);
  packer->Add(kernels::cuda::PooledSegments(cu_seqlens.data(), to->segments), &to->ranges);
  const kernels::cuda::AttentionWork work = kernels::cuda::MakeAttentionWork(
      cu_seqlens.data(), to->segments, kernels::cuda::AttentionRows(head_dim));
  to->attention.blocks = static_cast<int64_t>(work.blocks.size());
  to->attention.chunk_rows = work.chunk_rows;
  to->attention.used_tokens = work.used_tokens;
  packer->Add(work.blocks, &to->attention.block);
  packer->Add(work.segments, &to->attention.segment);
  packer->Add(work.tiles, &to->attention.tile);
}

void AddScatter(const std::vector<int32_t>& rows, const std::vector<Selection>& selections,
                int64_t table_rows, Packer* packer, DeviceScatter* to) {
  const kernels::cuda::ScatterWork work =
      kernels::cuda::MakeScatterWork(rows, selections, static_cast<int32_t>(table_rows));
  to->rows = static_cast<int64_t>(work.rows.size());
  packer->Add(work.rows, &to->row);
  packer->Add(work.selections, &to->selection);
}

void AddText(const ModelConfig& config, const Batch& batch, Packer* packer, DeviceText* to) {
  std::vector<int32_t> ids, places;
  std::vector<Selection> selections;
  for (int64_t i = 0; i < batch.examples(); ++i) {
    const int32_t begin = batch.text_cu_seqlens[i];
    for (int32_t token = begin; token < batch.text_cu_seqlens[i + 1]; ++token) {
      ids.push_back(batch.text[token]);
      places.push_back(token - begin);
      selections.push_back({token});
    }
  }
  packer->Add(batch.text, &to->ids);
  packer->Add(places, &to->place);
  AddScatter(ids, selections, config.text_vocabulary, packer, &to->tokens);
  AddScatter(places, selections, config.max_text_tokens, packer, &to->positions);
}

// Along one axis of a table of `rows` rows.
PositionTaps AxisTaps(float coordinate, int64_t rows) {
  const PositionTap tap(coordinate, rows);
  return {{static_cast<int32_t>(tap.low), static_cast<int32_t>(tap.high)},
          {1 - tap.weight, tap.weight}};
}

// Of a joint table: the products of the taps of both axes.
PositionTaps JointTaps(float row, float column, int64_t rows) {
  const PositionTaps a = AxisTaps(row, rows), b = AxisTaps(column, rows);
  PositionTaps taps;
  for (int i = 0; i < 4; ++i) {
    taps.row[i] = a.row[i / 2] * static_cast<int32_t>(rows) + b.row[i % 2];
    taps.weight[i] = a.weight[i / 2] * b.weight[i % 2];
  }
  return taps;
}

void AddTable(const std::vector<PositionTaps>& taps, int64_t table_rows, Packer* packer,
              DevicePositions* to) {
  std::vector<int32_t> rows;
  std::vector<Selection> selections;
  for (size_t token = 0; token < taps.size(); ++token) {
    for (int i = 0; i < 4; ++i) {
      if (taps[token].weight[i] == 0) continue;
      rows.push_back(taps[token].row[i]);
      selections.push_back({static_cast<int32_t>(token), taps[token].weight[i]});
    }
  }
  packer->Add(taps, &to->taps);
  AddScatter(rows, selections, table_rows, packer, &to->scatter);
}

// [U, 2]: those of the patches [T, 2], and zeros, which do not turn, for prefix tokens.
std::vector<float> CoordinatesWithPrefix(const ModelConfig& config, const Batch& batch,
                                         const std::vector<float>& patches) {
  std::vector<float> all;
  for (int64_t i = 0; i < batch.examples(); ++i) {
    all.resize(all.size() + 2 * config.image.prefix_tokens);
    all.insert(all.end(), patches.begin() + 2 * batch.image_cu_seqlens[i],
               patches.begin() + 2 * batch.image_cu_seqlens[i + 1]);
  }
  return all;
}

void AddPositions(const ModelConfig& config, const Batch& batch, Packer* packer, DeviceBatch* to) {
  const int64_t tokens = batch.image_tokens();
  const int64_t rows = config.position_rows;
  if (config.resamples_positions()) {
    std::vector<float> weights(2 * tokens * rows);
    PositionWeights(config, batch, weights.data());
    packer->Add(weights, &to->position_weights);
    return;
  }
  std::vector<float> coordinates(2 * tokens);
  PositionCoordinates(config, batch, coordinates.data());
  std::vector<PositionTaps> taps[2];
  switch (config.position) {
    case Image::ROPE: {
      const std::vector<float> all = CoordinatesWithPrefix(config, batch, coordinates);
      const int64_t count = static_cast<int64_t>(all.size()) / 2;
      std::vector<float> angles(count * config.image.head_dim());
      kernels::RopeTable(count, config.image.head_dim(), all.data(), angles.data());
      packer->Add(angles, &to->rope);
      return;
    }
    case Image::JOINT:
      for (int64_t t = 0; t < tokens; ++t) {
        taps[0].push_back(JointTaps(coordinates[2 * t], coordinates[2 * t + 1], rows));
      }
      AddTable(taps[0], rows * rows, packer, &to->positions[0]);
      return;
    case Image::SINUSOIDAL:
      packer->Add(SinusoidalFrequencies(config.image.width), &to->frequencies);
      [[fallthrough]];
    case Image::FOURIER:
      packer->Add(coordinates, &to->coordinates);
      return;
    default:
      for (int axis = 0; axis < 2; ++axis) {
        for (int64_t t = 0; t < tokens; ++t) {
          taps[axis].push_back(AxisTaps(coordinates[2 * t + axis], rows));
        }
        AddTable(taps[axis], rows, packer, &to->positions[axis]);
      }
  }
}

}  // namespace

absl::StatusOr<DeviceBatch> DeviceBatchBuffer::Fill(const ModelConfig& config, const Batch& batch,
                                                    Device* device, DeviceStream stream) {
  DeviceBatch to;
  Packer packer(std::move(memory_));
  to.count = batch.examples();
  if (batch.image_tokens() > 0) {
    AddSegments(batch.image_cu_seqlens, config.image.prefix_tokens, config.image.head_dim(),
                &packer, &to.image_cu_seqlens);
    AddPositions(config, batch, &packer, &to);
  }
  if (config.has_text()) {
    AddSegments(batch.text_cu_seqlens, config.text.prefix_tokens, config.text.head_dim(), &packer,
                &to.text_cu_seqlens);
    AddText(config, batch, &packer, &to.text);
  }
  packer.AddLast(batch.patches, &to.patches);
  const size_t bytes = packer.size();
  NAVIT_RETURN_IF_ERROR(GrowPinnedBuffer(bytes, device, &pinned_));
  NAVIT_RETURN_IF_ERROR(GrowBuffer(bytes, device, &device_));
  packer.Write(static_cast<char*>(pinned_.data()));
  NAVIT_RETURN_IF_ERROR(device->Copy(device_.data(), pinned_.data(), bytes, stream));
  packer.Place(device_.data());
  memory_ = packer.Release();
  return to;
}

}  // namespace navit
