// A step's packs as what a training step computes with.
#ifndef NAVIT_WORKER_PARSED_PACKS_H_
#define NAVIT_WORKER_PARSED_PACKS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/batch_source.h"
#include "worker/model/batch.h"
#include "worker/model/config.h"

namespace navit {

struct ParsedPacks {
  std::vector<Batch> batches;  // one of each pack, in their order
  // Summed over the batches.
  uint64_t examples = 0, image_tokens = 0, text_tokens = 0;
};

// InvalidArgument names the pack and what in it does not fit the model.
absl::StatusOr<ParsedPacks> ParsePacks(const StepPacks& packs, const ModelConfig& config);

}  // namespace navit

#endif  // NAVIT_WORKER_PARSED_PACKS_H_
