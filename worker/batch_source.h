// This rank's packs, step by step, fetched ahead of the training loop.
//
// One Batches.Pull stream per generation; with direct delivery payloads come from packers
// (pack_fetcher.h). A thread of its own reads it into a queue that is bounded by the credit given
// to the coordinator: room for about two steps. When the stream breaks (the coordinator restarts)
// it is opened again at the first step that is not whole yet, so that the training loop notices
// nothing but time; after the grace of the RunClient without a stream the source fails.
#ifndef NAVIT_WORKER_BATCH_SOURCE_H_
#define NAVIT_WORKER_BATCH_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/batches.pb.h"
#include "proto/pack.pb.h"
#include "worker/pack_fetcher.h"
#include "worker/run_client.h"

namespace navit {

struct StepPacks {
  v1::StepDeal deal;
  // In the deal's order, checked against their headers.
  std::vector<v1::Frame> packs;
};

struct BatchSourceOptions {
  uint32_t rank = 0;
  uint64_t first_step = 1;
  // Bytes of packs that may wait here. A step that is larger still comes, alone.
  uint64_t credit_bytes = uint64_t{64} << 20;
  // Direct delivery.
  PackFetcherOptions packers = {};
};

class BatchSource {
 public:
  // Starts at once. `client` must outlive the source; RunClient::Cancel ends it.
  BatchSource(RunClient* client, const BatchSourceOptions& options);
  // Cancels.
  ~BatchSource();

  // The packs of `step`; call it with first_step, first_step + 1, … Waits as long as the
  // coordinator is there (packs are its business, and a dead rank or packer is for it to notice).
  // nullopt: the job has no such step. Cancelled; FailedPrecondition: the generation is over;
  // DataLoss: a pack does not match its header; Unavailable: the coordinator was away for longer
  // than the grace.
  absl::StatusOr<std::optional<StepPacks>> Next(uint64_t step);

  // The same without waiting: nullopt where they are not here, whyever; then Next says more.
  std::optional<StepPacks> TakeIfHere(uint64_t step);

  struct Queued {
    size_t packs = 0;
    // Whole frames, as the coordinator counts them, and credit_bytes.
    uint64_t bytes = 0;
    uint64_t cap_bytes = 0;
  };
  // What waits here.
  Queued queued() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Calls `take` for each pack of an evaluation split that falls to `rank`, in order, each once,
// through restarts of the coordinator. Errors as BatchSource::Next, or that of `take`.
absl::Status PullEvaluation(RunClient* client, uint32_t rank, uint32_t world_size, v1::Split split,
                            const std::function<absl::Status(const v1::Frame&)>& take);

}  // namespace navit

#endif  // NAVIT_WORKER_BATCH_SOURCE_H_
