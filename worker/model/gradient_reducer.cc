#include "worker/model/gradient_reducer.h"

#include <algorithm>

namespace navit {

GradientReducer::GradientReducer(absl::Span<float> gradients, size_t bucket_floats,
                                 Collective* collective)
    : gradients_(gradients), bucket_floats_(bucket_floats), collective_(collective) {
  // A rank alone has the sums already, maybe where only a device reads them.
  if (collective->world_size() > 1) thread_ = std::thread([this] { Loop(); });
}

GradientReducer::~GradientReducer() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void GradientReducer::Complete(size_t count) {
  absl::MutexLock lock(&mutex_);
  complete_ = std::max(complete_, count);
}

absl::Status GradientReducer::Finish() {
  Complete(gradients_.size());
  if (thread_.joinable()) thread_.join();
  absl::MutexLock lock(&mutex_);
  return status_;
}

void GradientReducer::Loop() {
  for (size_t begin = 0; begin < gradients_.size();) {
    const size_t end = std::min(begin + bucket_floats_, gradients_.size());
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return complete_ >= end || closed_;
      };
      mutex_.Await(absl::Condition(&ready));
      if (complete_ < end) {
        status_ = absl::CancelledError("gradients were never completed");
        return;
      }
    }
    const absl::Status status = collective_->AllReduceSum(gradients_.subspan(begin, end - begin));
    if (!status.ok()) {
      absl::MutexLock lock(&mutex_);
      status_ = status;
      return;
    }
    begin = end;
  }
}

}  // namespace navit
