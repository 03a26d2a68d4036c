// A batch in the memory of a GPU, with the lists of work that kernels want of it.
#ifndef NAVIT_WORKER_MODEL_DEVICE_BATCH_H_
#define NAVIT_WORKER_MODEL_DEVICE_BATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/position_table.h"
#include "kernels/cuda/scatter_rows.h"
#include "kernels/cuda/segment_attention.h"
#include "kernels/cuda/segment_range.h"
#include "worker/device/device.h"
#include "worker/model/batch.h"
#include "worker/model/config.h"

namespace navit {

// Segments of a batch, none of them empty. Answers what the towers ask of a span of cumulative
// lengths [S + 1]; the lengths themselves are on the device.
struct DeviceSegments {
  int64_t tokens = 0;
  int64_t segments = 0;
  const int32_t* cu_seqlens = nullptr;
  const kernels::cuda::SegmentRange* ranges = nullptr;  // [S]
  kernels::cuda::DeviceAttentionWork attention;
  // The same with the tower's prefix tokens in front of each; null where it has none.
  std::shared_ptr<const DeviceSegments> with_prefix;

  int64_t back() const { return tokens; }
  size_t size() const { return static_cast<size_t>(segments) + 1; }
  const DeviceSegments* data() const { return this; }
};

// What selects rows of a table, by row; for its gradient.
struct DeviceScatter {
  int64_t rows = 0;
  const kernels::cuda::SelectedRow* row = nullptr;
  const kernels::cuda::Selection* selection = nullptr;
};

struct DeviceText {
  const uint16_t* ids = nullptr;   // [L]
  const int32_t* place = nullptr;  // [L] within the caption
  DeviceScatter tokens;            // of the token table
  DeviceScatter positions;         // of the position table

  const DeviceText* data() const { return this; }
};

// One of up to two position tables; `part` of the width is what it adds to.
struct DevicePositions {
  const kernels::cuda::PositionTaps* taps = nullptr;  // [T]
  DeviceScatter scatter;
};

struct DeviceBatch {
  int64_t count = 0;
  const uint8_t* patches = nullptr;  // [T, patch_dim]
  DeviceSegments image_cu_seqlens;
  DeviceSegments text_cu_seqlens;
  DeviceText text;
  // Sum, product and stack have two tables, joint has one, others none.
  std::array<DevicePositions, 2> positions;
  const float* rope = nullptr;              // [U, 2, head_dim / 2] with RoPE; U: with prefix tokens
  const float* coordinates = nullptr;       // [T, 2] with waves
  const float* frequencies = nullptr;       // [width / 2, 2] of sinusoidal waves
  const float* position_weights = nullptr;  // [T, 2, position_rows] of a resampled table

  int64_t examples() const { return count; }
  int64_t image_tokens() const { return image_cu_seqlens.tokens; }
  int64_t text_tokens() const { return text_cu_seqlens.tokens; }
};

// Device memory for one batch at a time, and pinned memory from which it is filled.
class DeviceBatchBuffer {
 public:
  // Queues the copy of `batch`, which may have texts alone, on the stream and says where it will
  // lie, until the next call. The
  // copy of the call before must be done; what reads its batch need not be, where the stream waits
  // for that. ResourceExhausted.
  absl::StatusOr<DeviceBatch> Fill(const ModelConfig& config, const Batch& batch, Device* device,
                                   DeviceStream stream);

 private:
  std::vector<char> memory_;  // where arrays are drawn up
  DeviceBuffer pinned_;
  DeviceBuffer device_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_BATCH_H_
