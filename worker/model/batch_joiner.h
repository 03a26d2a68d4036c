// Joins batches that come one by one to larger ones, for the towers' sake.
#ifndef NAVIT_WORKER_MODEL_BATCH_JOINER_H_
#define NAVIT_WORKER_MODEL_BATCH_JOINER_H_

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "worker/model/batch.h"

namespace navit {

// `take` gets the examples of all batches in order: consecutive batches of one epoch together, as
// long as neither tower has more than `max_tokens` of them; a larger batch comes alone.
class BatchJoiner {
 public:
  using Take = std::function<absl::Status(const Batch&)>;
  BatchJoiner(int64_t max_tokens, Take take) : max_tokens_(max_tokens), take_(std::move(take)) {}

  // Errors of `take`, which may be called with what was added before.
  absl::Status Add(Batch batch);
  // After the last Add: `take` gets the rest.
  absl::Status Finish();

 private:
  const int64_t max_tokens_;
  const Take take_;
  // Of one epoch, and their tokens.
  std::vector<Batch> waiting_;
  int64_t image_tokens_ = 0, text_tokens_ = 0;
  Batch joined_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_BATCH_JOINER_H_
