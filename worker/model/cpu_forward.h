// Where a forward pass's weights and activations are: here in the memory of the host.
//
// A forward machine says what of a pass depends on that: its Ops, and memory for activations,
// inputs and outputs of the towers.
#ifndef NAVIT_WORKER_MODEL_CPU_FORWARD_H_
#define NAVIT_WORKER_MODEL_CPU_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "worker/model/aligned_buffer.h"
#include "worker/model/batch.h"
#include "worker/model/cpu_ops.h"

namespace navit {

class CpuForward {
 public:
  using Ops = CpuOps;
  using Memory = AlignedBuffer;

  // A batch as the towers read it.
  class Input {
   public:
    const Batch& batch() const { return *batch_; }

   private:
    friend class CpuForward;
    const Batch* batch_ = nullptr;
  };

  // `parameters` is the flat array; both must outlive the machine.
  CpuForward(const float* parameters, kernels::ThreadPool* pool)
      : parameters_(parameters), pool_(pool) {}

  // Before anything else of a pass or a step; then status() after every pass, and Finish() once all
  // passes are queued: waits for them.
  absl::Status Start() { return absl::OkStatus(); }
  absl::Status status() const { return absl::OkStatus(); }
  absl::Status Finish() { return absl::OkStatus(); }

  kernels::ThreadPool& context() const { return *pool_; }
  const float* parameters() const { return parameters_; }
  // One of them, as a number of the host.
  absl::StatusOr<float> Parameter(size_t offset) { return parameters_[offset]; }

  // On a machine that runs ahead `input` has two places: Load brings `batch`, which outlives its
  // use, to one beside that which passes read; Turn, after a Load, makes it the one that passes
  // after it read; Release follows the passes that read it.
  absl::Status Load(const Batch& batch, Input* input) {
    input->batch_ = &batch;
    return absl::OkStatus();
  }
  absl::Status Turn(Input* /*input*/) { return absl::OkStatus(); }
  absl::Status Release(Input* /*input*/) { return absl::OkStatus(); }

  // Memory of so many floats, which grows to the largest size asked for.
  absl::StatusOr<float*> Reserve(size_t floats, Memory* memory) {
    if (memory->size() < floats) {
      *memory = AlignedBuffer();  // Frees first: both at once may not fit.
      *memory = AlignedBuffer(floats);
    }
    return memory->data();
  }

  // Appends `count` outputs of a tower to a vector of the host; those of all calls are there after
  // TakeOutputs.
  absl::Status Append(const float* outputs, int64_t count, std::vector<float>* to) {
    to->insert(to->end(), outputs, outputs + count);
    return absl::OkStatus();
  }
  absl::Status TakeOutputs() { return absl::OkStatus(); }

 private:
  const float* parameters_;
  kernels::ThreadPool* pool_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_CPU_FORWARD_H_
