// What a run computes on and meets its peers by, as workers.trainers.device of its job says.
#ifndef NAVIT_WORKER_RUN_DEVICE_H_
#define NAVIT_WORKER_RUN_DEVICE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "proto/job_spec.pb.h"
#include "worker/accelerator.h"
#include "worker/communicator.h"
#include "worker/model/embed.h"
#include "worker/model/train_step.h"
#include "worker/port_range.h"

namespace navit {

bool OnGpu(const v1::JobSpec& spec);

struct RunPlace {
  int rank = 0;
  int world_size = 1;
  // This host's address for collectives, and where it listens for them.
  std::string host;
  PortRange ports;
};

// NCCL between GPUs, else Gloo, which also serves one rank on a GPU: it has nothing to exchange.
// `accelerator` may be null and must outlive the communicator. FailedPrecondition: the job wants a
// GPU and there is none; else LoadNccl's errors.
absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(const v1::JobSpec& spec,
                                                               const RunPlace& place,
                                                               const Accelerator* accelerator);

// Operations per second of this rank, as far as they are known; of the CPU, measured on `pool`.
std::optional<double> PeakFlops(const v1::JobSpec& spec, kernels::ThreadPool* pool,
                                const Accelerator* accelerator);

// Lives longer than all that a run has on its GPU. At the end the arena's memory goes back to the
// driver, and a line of the log says how much it was.
class RunMemory {
 public:
  // `accelerator` may be null and must outlive this object.
  explicit RunMemory(const Accelerator* accelerator);
  RunMemory(const RunMemory&) = delete;
  RunMemory& operator=(const RunMemory&) = delete;
  ~RunMemory();

 private:
  const Accelerator* const accelerator_;
};

// For a job on a GPU `accelerator` is not null. All must outlive the step. Unimplemented names what
// has no kernel on a GPU.
absl::StatusOr<std::unique_ptr<TrainStep>> MakeTrainStep(
    const v1::JobSpec& spec, const ParameterTable& table, const TrainStepOptions& options,
    ModelState* state, kernels::ThreadPool* pool, const Accelerator* accelerator,
    TrainStep::PhaseCallback on_phase);

// The same for an evaluation without training; `parameters` is the host's flat array.
// Unimplemented, ResourceExhausted, and what is wrong with the GPU.
absl::StatusOr<std::unique_ptr<PackEmbedder>> MakeEmbedder(const v1::JobSpec& spec,
                                                           const ParameterTable& table,
                                                           const float* parameters,
                                                           kernels::ThreadPool* pool,
                                                           const Accelerator* accelerator);

}  // namespace navit

#endif  // NAVIT_WORKER_RUN_DEVICE_H_
