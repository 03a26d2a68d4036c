// A coordinator for trainers' tests: one job, one gang, packs made on the spot. It follows the
// protocol of fleet.proto as far as a gang that works needs it, and keeps everything in memory.
#ifndef NAVIT_WORKER_FAKE_COORDINATOR_H_
#define NAVIT_WORKER_FAKE_COORDINATOR_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/batches.pb.h"
#include "proto/fleet.pb.h"

namespace navit {

struct FakeCoordinatorOptions {
  v1::JobData job;
  uint32_t world_size = 2;
  uint64_t steps = 8;
  uint64_t stop_after_step = 0;
  // The first generation starts from here instead of fresh weights.
  std::string checkpoint;
  uint64_t checkpoint_step = 0;
  // Sends this payload byte flipped, once, in this step; 0: never.
  uint64_t corrupt_step = 0;
  // Direct delivery: leaves a pack with a packer and returns the frame with its source. Called once
  // for each pack that is dealt; not where the trainer says that it cannot fetch from `packer`.
  std::function<v1::Frame(const v1::PullReply&)> keep;
  std::string packer;
};

class FakeCoordinator {
 public:
  explicit FakeCoordinator(FakeCoordinatorOptions options);
  ~FakeCoordinator();

  std::string address() const;
  // The server goes away with all its connections, and comes back on the same port.
  void Restart();

  // Until every rank reported STOPPED (true) or one failed for good (false).
  bool WaitUntilDone();
  // Until the step is recorded, or the job is done.
  void WaitForStep(uint64_t step);
  std::string failure() const;

  // The current lineage.
  std::vector<v1::StepReport> history() const;
  // By step.
  std::map<uint64_t, std::string> checkpoints() const;
  std::vector<v1::ReportEventRequest> events() const;
  uint64_t generation() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_FAKE_COORDINATOR_H_
