#include "worker/model/device/contrastive_kernels.h"

#include <algorithm>
#include <cstddef>

#include "common/status_macros.h"
#include "kernels/cuda/padded_rows.h"
#include "kernels/cuda/sigmoid_contrastive.h"

namespace navit {

namespace cuda = kernels::cuda;
using cuda::Bf16;
using cuda::PaddedLength;

absl::Status DeviceContrastiveKernels::Run(const std::function<void(Arena*)>& layout) {
  Arena count;
  layout(&count);
  NAVIT_RETURN_IF_ERROR(GrowBuffer(count.used() * sizeof(float), context_.device(), &memory_));
  Arena arena(static_cast<float*>(memory_.data()));
  layout(&arena);
  NAVIT_RETURN_IF_ERROR(context_.status());
  context_.Keep(context_.device()->Synchronize(context_.stream()));
  for (const PaddedRows& rows : padded_) {
    float* to = rows.host;
    for (auto row = rows.values.begin(); row != rows.values.end(); row += PaddedLength(rows.dim)) {
      to = std::copy_n(row, rows.dim, to);
    }
  }
  padded_.clear();
  return context_.status();
}

template <typename T>
T* DeviceContrastiveKernels::Put(const T* host, int64_t count, Arena* arena) {
  if (host == nullptr) return nullptr;
  T* const device = arena->Take<T>(count);
  if (device != nullptr && count > 0 && context_.ok()) {
    context_.Keep(context_.device()->Copy(device, host, static_cast<size_t>(count) * sizeof(T),
                                          context_.stream()));
  }
  return device;
}

Bf16* DeviceContrastiveKernels::PutRounded(const float* host, int64_t rows, int64_t dim,
                                           Arena* arena) {
  const int64_t padded = PaddedLength(dim);
  rounded_.resize(rows * padded);
  for (int64_t row = 0; arena->placed() && row < rows; ++row) {
    const auto to = rounded_.begin() + row * padded;
    std::transform(host + row * dim, host + (row + 1) * dim, to, cuda::FloatToBf16);
    std::fill(to + dim, to + padded, Bf16());
  }
  return Put(rounded_.data(), rows * padded, arena);
}

template <typename T>
void DeviceContrastiveKernels::Get(const T* device, int64_t count, T* host) {
  if (device == nullptr || host == nullptr || count == 0 || !context_.ok()) return;
  context_.Keep(context_.device()->Copy(host, device, static_cast<size_t>(count) * sizeof(T),
                                        context_.stream()));
}

void DeviceContrastiveKernels::GetRows(const float* device, int64_t rows, int64_t dim,
                                       float* host) {
  const int64_t padded = PaddedLength(dim);
  if (padded == dim) return Get(device, rows * dim, host);
  padded_.push_back({dim, host, std::vector<float>(rows * padded)});
  Get(device, rows * padded, padded_.back().values.data());
}

cuda::ContrastiveStrip DeviceContrastiveKernels::Put(const kernels::ContrastiveStrip& strip,
                                                     Arena* arena) {
  const int64_t rows = strip.rows, columns = strip.columns;
  return {.rows = rows,
          .columns = columns,
          .dim = PaddedLength(strip.dim),
          .x = PutRounded(strip.x, rows, strip.dim, arena),
          .y = PutRounded(strip.y, columns, strip.dim, arena),
          .scale = strip.scale,
          .positive = Put(strip.positive, rows, arena),
          .column_valid = Put(strip.column_valid, columns, arena),
          .row_hash = Put(strip.row_hash, rows, arena),
          .column_hash = Put(strip.column_hash, columns, arena),
          .equal_are_positive = strip.equal_captions == kernels::EqualCaptions::kPositive,
          .positive_share = strip.positive_share,
          .row_smooth = Put(strip.row_smooth, rows, arena),
          .column_smooth = Put(strip.column_smooth, columns, arena)};
}

absl::Status DeviceContrastiveKernels::Stats(const kernels::ContrastiveStatsArgs& args) {
  const int64_t rows = args.strip.rows, columns = args.strip.columns;
  NAVIT_RETURN_IF_ERROR(
      GrowBuffer(static_cast<size_t>(rows) * sizeof(float), context_.device(), &positive_part_));
  return Run([&](Arena* arena) {
    cuda::ContrastiveStatsArgs device;
    device.strip = Put(args.strip, arena);
    device.engine = context_.engine();
    device.row_max = arena->Take(rows);
    device.row_sum = arena->Take(rows);
    device.column_max = arena->Take(columns);
    device.column_sum = arena->Take(columns);
    device.positive_score = arena->Take(rows);
    device.positive_part = static_cast<float*>(positive_part_.data());
    if (args.strip.row_smooth != nullptr) device.smooth_score = arena->Take(rows);
    device.workspace = arena->Take<char>(cuda::ContrastiveStatsWorkspace(device.strip));
    if (!arena->placed()) return;
    context_.Run("contrastive statistics", cuda::ContrastiveStats, device);
    Get(device.row_max, rows, args.row_max);
    Get(device.row_sum, rows, args.row_sum);
    Get(device.column_max, columns, args.column_max);
    Get(device.column_sum, columns, args.column_sum);
    Get(device.positive_score, rows, args.positive_score);
    Get(device.smooth_score, rows, args.smooth_score);
  });
}

absl::Status DeviceContrastiveKernels::Backward(const kernels::ContrastiveBackwardArgs& args) {
  const int64_t rows = args.strip.rows, columns = args.strip.columns, dim = args.strip.dim;
  return Run([&](Arena* arena) {
    cuda::ContrastiveBackwardArgs device;
    device.strip = Put(args.strip, arena);
    device.engine = context_.engine();
    device.positive_part = static_cast<const float*>(positive_part_.data());
    device.row_lse = Put(args.row_lse, rows, arena);
    device.column_lse = Put(args.column_lse, columns, arena);
    device.row_weight = args.row_weight;
    device.column_weight = args.column_weight;
    device.dx = arena->Take(rows * device.strip.dim);
    device.dy = arena->Take(columns * device.strip.dim);
    device.dscale = arena->Take<double>(1);
    device.workspace = arena->Take<char>(cuda::ContrastiveGradientWorkspace(device.strip));
    if (!arena->placed()) return;
    context_.Run("contrastive gradients", cuda::ContrastiveBackward, device);
    GetRows(device.dx, rows, dim, args.dx);
    GetRows(device.dy, columns, dim, args.dy);
    Get(device.dscale, 1, args.dscale);
  });
}

absl::Status DeviceContrastiveKernels::Sigmoid(const kernels::SigmoidContrastiveArgs& args) {
  const int64_t rows = args.strip.rows, columns = args.strip.columns, dim = args.strip.dim;
  return Run([&](Arena* arena) {
    cuda::SigmoidContrastiveArgs device;
    device.strip = Put(args.strip, arena);
    device.engine = context_.engine();
    device.bias = args.bias;
    device.smoothing = args.smoothing;
    device.weight = args.weight;
    device.dx = arena->Take(rows * device.strip.dim);
    device.dy = arena->Take(columns * device.strip.dim);
    device.loss = arena->Take<double>(1);
    device.dscale = arena->Take<double>(1);
    device.dbias = arena->Take<double>(1);
    device.workspace = arena->Take<char>(cuda::ContrastiveGradientWorkspace(device.strip));
    if (!arena->placed()) return;
    context_.Run("sigmoid contrastive loss", cuda::SigmoidContrastive, device);
    GetRows(device.dx, rows, dim, args.dx);
    GetRows(device.dy, columns, dim, args.dy);
    Get(device.loss, 1, args.loss);
    Get(device.dscale, 1, args.dscale);
    Get(device.dbias, 1, args.dbias);
  });
}

}  // namespace navit
