// A batch that a device reads, and the next one on its way there.
#ifndef NAVIT_WORKER_MODEL_DEVICE_INPUT_H_
#define NAVIT_WORKER_MODEL_DEVICE_INPUT_H_

#include <array>

#include "absl/status/status.h"
#include "worker/device/device.h"
#include "worker/model/batch.h"
#include "worker/model/config.h"
#include "worker/model/device/batch.h"

namespace navit {

// Two buffers in device memory, each with one in pinned memory: while work that was queued reads
// the current batch, the next one is copied on a stream of its own. They grow to the largest batch.
//
//   Fill       next: the host waits until its pinned buffer was read; the copy waits for the last
//              Release of its device buffer
//   Turn       next becomes current: what follows waits for its copy
//   Release    after work that reads the current batch was queued; the last call counts
class DeviceInput {
 public:
  // The current one: there is none before the first Turn.
  const DeviceBatch& batch() const { return sides_[current_].batch; }

  // Queues the copy of `batch`, which is not used after the return, on the stream `copies`. A batch
  // that was filled and never turned to is lost. ResourceExhausted.
  absl::Status Fill(const ModelConfig& config, const Batch& batch, Device* device,
                    DeviceStream copies);
  // `stream` is the one whose work reads batches. Turn follows a Fill, Release a Turn.
  absl::Status Turn(Device* device, DeviceStream stream);
  absl::Status Release(Device* device, DeviceStream stream);

 private:
  struct Side {
    DeviceBatch batch;
    DeviceBatchBuffer buffer;
    OwnedEvent filled, released;
  };

  std::array<Side, 2> sides_;
  int current_ = 1;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_INPUT_H_
