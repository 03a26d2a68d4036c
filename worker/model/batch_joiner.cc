#include "worker/model/batch_joiner.h"

#include "common/status_macros.h"

namespace navit {

absl::Status BatchJoiner::Add(Batch batch) {
  const bool fits = waiting_.empty() || (waiting_.front().epoch == batch.epoch &&
                                         image_tokens_ + batch.image_tokens() <= max_tokens_ &&
                                         text_tokens_ + batch.text_tokens() <= max_tokens_);
  if (!fits) NAVIT_RETURN_IF_ERROR(Finish());
  image_tokens_ += batch.image_tokens();
  text_tokens_ += batch.text_tokens();
  waiting_.push_back(std::move(batch));
  return absl::OkStatus();
}

absl::Status BatchJoiner::Finish() {
  if (waiting_.empty()) return absl::OkStatus();
  std::vector<const Batch*> members;
  for (const Batch& batch : waiting_) members.push_back(&batch);
  joined_ = Concatenate(members, std::move(joined_));
  waiting_.clear();
  image_tokens_ = text_tokens_ = 0;
  return take_(joined_);
}

}  // namespace navit
