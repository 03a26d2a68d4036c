#include "worker/collective_threads.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// What a rank shows the others during one operation.
struct Offer {
  const void* data = nullptr;
  // Of the whole operation; must agree.
  size_t size = 0;
  int operation = 0;
};

// Where the ranks meet. An operation is: offer, Meet, read all offers, Meet again (from then on the
// offered memory may change).
class Group {
 public:
  explicit Group(int world_size) : offers_(world_size) {}

  int world_size() const { return static_cast<int>(offers_.size()); }
  const Offer& offer(int rank) const { return offers_[rank]; }

  // A rank's own slot is written before it meets the others, which read it after that.
  void SetOffer(int rank, const Offer& offer) { offers_[rank] = offer; }

  absl::Status Meet() {
    absl::MutexLock lock(&mutex_);
    if (!broken_.ok()) return broken_;
    const int64_t meeting = meetings_;
    if (++arrived_ == world_size()) {
      arrived_ = 0;
      ++meetings_;
      return absl::OkStatus();
    }
    const auto done = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return meetings_ != meeting || !broken_.ok();
    };
    mutex_.Await(absl::Condition(&done));
    // A meeting that everyone reached has taken place, whatever broke after it.
    return meetings_ != meeting ? absl::OkStatus() : broken_;
  }

  void Break(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    if (broken_.ok()) broken_ = status;
  }

 private:
  std::vector<Offer> offers_;
  absl::Mutex mutex_;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t meetings_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
};

class ThreadCollective final : public Collective {
 public:
  ThreadCollective(std::shared_ptr<Group> group, int rank)
      : group_(std::move(group)), rank_(rank) {}
  ~ThreadCollective() override {
    group_->Break(absl::UnavailableError(absl::StrCat("rank ", rank_, " is gone")));
  }

  int rank() const override { return rank_; }
  int world_size() const override { return group_->world_size(); }

  absl::Status AllReduceSum(absl::Span<float> values) override {
    return Reduce(1, values, [](float a, float b) { return a + b; });
  }
  absl::Status AllReduceSum(absl::Span<double> values) override {
    return Reduce(2, values, [](double a, double b) { return a + b; });
  }
  absl::Status AllReduceMax(absl::Span<float> values) override {
    return Reduce(3, values, [](float a, float b) { return std::max(a, b); });
  }
  absl::Status AllGather(absl::Span<const float> mine, absl::Span<const size_t> counts,
                         absl::Span<float> all) override {
    return Gather(4, mine, counts, all);
  }
  absl::Status AllGather(absl::Span<const uint64_t> mine, absl::Span<const size_t> counts,
                         absl::Span<uint64_t> all) override {
    return Gather(5, mine, counts, all);
  }

  absl::Status ReduceScatter(absl::Span<const float> partial, absl::Span<const size_t> counts,
                             absl::Span<float> mine) override {
    NAVIT_RETURN_IF_ERROR(Begin(6, partial.data(), partial.size()));
    size_t begin = 0;
    for (int rank = 0; rank < rank_; ++rank) begin += counts[rank];
    std::vector<float> sum(counts[rank_], 0.0f);
    for (int rank = 0; rank < world_size(); ++rank) {
      const float* theirs = static_cast<const float*>(group_->offer(rank).data) + begin;
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += theirs[i];
    }
    NAVIT_RETURN_IF_ERROR(group_->Meet());
    std::copy(sum.begin(), sum.end(), mine.begin());
    return absl::OkStatus();
  }

  absl::Status Broadcast(absl::Span<char> bytes, int root) override {
    NAVIT_RETURN_IF_ERROR(Begin(7, bytes.data(), bytes.size()));
    if (rank_ != root && !bytes.empty()) {
      std::memcpy(bytes.data(), group_->offer(root).data, bytes.size());
    }
    return group_->Meet();
  }

  void Abort() override { group_->Break(absl::AbortedError("collective aborted")); }

 private:
  // Offers this rank's memory and waits for the others' offers.
  absl::Status Begin(int operation, const void* data, size_t size) {
    group_->SetOffer(rank_, {data, size, operation});
    NAVIT_RETURN_IF_ERROR(group_->Meet());
    for (int rank = 0; rank < world_size(); ++rank) {
      const Offer& offer = group_->offer(rank);
      if (offer.operation == operation && offer.size == size) continue;
      const absl::Status status = absl::InternalError(absl::StrCat(
          "rank ", rank_, " calls operation ", operation, " on ", size, " elements, rank ", rank,
          " operation ", offer.operation, " on ", offer.size));
      group_->Break(status);
      return status;
    }
    return absl::OkStatus();
  }

  template <typename T, typename Combine>
  absl::Status Reduce(int operation, absl::Span<T> values, Combine combine) {
    NAVIT_RETURN_IF_ERROR(Begin(operation, values.data(), values.size()));
    // A single rank's values are their own sum, and may lie in a device's memory.
    if (world_size() == 1) return absl::OkStatus();
    const T* first = static_cast<const T*>(group_->offer(0).data);
    std::vector<T> result(first, first + values.size());
    for (int rank = 1; rank < world_size(); ++rank) {
      const T* theirs = static_cast<const T*>(group_->offer(rank).data);
      for (size_t i = 0; i < result.size(); ++i) result[i] = combine(result[i], theirs[i]);
    }
    NAVIT_RETURN_IF_ERROR(group_->Meet());
    std::copy(result.begin(), result.end(), values.begin());
    return absl::OkStatus();
  }

  template <typename T>
  absl::Status Gather(int operation, absl::Span<const T> mine, absl::Span<const size_t> counts,
                      absl::Span<T> all) {
    if (mine.size() != counts[rank_]) {
      return absl::InvalidArgumentError("all-gather: counts do not fit this rank's elements");
    }
    NAVIT_RETURN_IF_ERROR(Begin(operation, mine.data(), all.size()));
    size_t begin = 0;
    for (int rank = 0; rank < world_size(); ++rank) {
      const T* theirs = static_cast<const T*>(group_->offer(rank).data);
      std::copy(theirs, theirs + counts[rank], all.begin() + begin);
      begin += counts[rank];
    }
    return group_->Meet();
  }

  std::shared_ptr<Group> group_;
  int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Collective>> MakeThreadCollectives(int world_size) {
  const auto group = std::make_shared<Group>(world_size);
  std::vector<std::unique_ptr<Collective>> ranks;
  for (int rank = 0; rank < world_size; ++rank) {
    ranks.push_back(std::make_unique<ThreadCollective>(group, rank));
  }
  return ranks;
}

void RunRanks(int world_size, const std::function<void(Collective*)>& body) {
  std::vector<std::unique_ptr<Collective>> ranks = MakeThreadCollectives(world_size);
  std::vector<std::thread> threads;
  for (std::unique_ptr<Collective>& rank : ranks) {
    threads.emplace_back([&body, &rank] { body(rank.get()); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace navit
