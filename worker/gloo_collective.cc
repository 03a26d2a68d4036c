#include "worker/gloo_collective.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/gloo_transport.h"

namespace navit {
namespace {

// Piece in which a broadcast travels down the chain of ranks.
constexpr size_t kBroadcastPieceBytes = size_t{1} << 20;

struct Sum {
  template <typename T>
  T operator()(T a, T b) const {
    return a + b;
  }
};

struct Max {
  template <typename T>
  T operator()(T a, T b) const {
    return std::max(a, b);
  }
};

// offsets[r] is the first element of rank r's block; the last element is the sum.
std::vector<size_t> Offsets(absl::Span<const size_t> counts) {
  std::vector<size_t> offsets(counts.size() + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), offsets.begin() + 1);
  return offsets;
}

}  // namespace

class GlooCollective::Impl {
 public:
  explicit Impl(const GlooOptions& options)
      : rank_(options.rank), world_size_(options.world_size), transport_(options) {}

  // Phase 1: block b travels from rank b over b+1, … to b-1, each adding its own values: W-1
  // rounds. Phase 2: the finished blocks travel once around. In round k rank r handles block r-k.
  template <typename T, typename Reduce>
  absl::Status AllReduce(absl::Span<T> values, Reduce reduce) {
    NAVIT_RETURN_IF_ERROR(transport_.StartOperation());
    if (world_size_ == 1 || values.empty()) return absl::OkStatus();
    std::vector<size_t> counts(world_size_);
    for (int block = 0; block < world_size_; ++block) {
      counts[block] =
          values.size() * (block + 1) / world_size_ - values.size() * block / world_size_;
    }
    const std::vector<size_t> offsets = Offsets(counts);
    scratch_.resize(*std::max_element(counts.begin(), counts.end()) * sizeof(T));
    T* received = reinterpret_cast<T*>(scratch_.data());
    for (int round = 0; round < world_size_ - 1; ++round) {
      const int out = Rank(rank_ - round);
      const int in = Rank(rank_ - round - 1);
      NAVIT_RETURN_IF_ERROR(Shift(values.data() + offsets[out], counts[out], received, counts[in],
                                  &traffic_.all_reduce_bytes));
      T* mine = values.data() + offsets[in];
      for (size_t i = 0; i < counts[in]; ++i) mine[i] = reduce(received[i], mine[i]);
    }
    for (int round = 0; round < world_size_ - 1; ++round) {
      const int out = Rank(rank_ - round + 1);
      const int in = Rank(rank_ - round);
      NAVIT_RETURN_IF_ERROR(Shift(values.data() + offsets[out], counts[out],
                                  values.data() + offsets[in], counts[in],
                                  &traffic_.all_reduce_bytes));
    }
    return absl::OkStatus();
  }

  template <typename T>
  absl::Status AllGather(absl::Span<const T> mine, absl::Span<const size_t> counts,
                         absl::Span<T> all) {
    NAVIT_RETURN_IF_ERROR(CheckCounts(counts, mine.size(), all.size()));
    NAVIT_RETURN_IF_ERROR(transport_.StartOperation());
    const std::vector<size_t> offsets = Offsets(counts);
    if (!mine.empty()) {
      std::memmove(all.data() + offsets[rank_], mine.data(), mine.size() * sizeof(T));
    }
    for (int round = 0; round < world_size_ - 1; ++round) {
      const int out = Rank(rank_ - round);
      const int in = Rank(rank_ - round - 1);
      NAVIT_RETURN_IF_ERROR(Shift(all.data() + offsets[out], counts[out], all.data() + offsets[in],
                                  counts[in], &traffic_.all_gather_bytes));
    }
    return absl::OkStatus();
  }

  // Block b travels from rank b+1 over b+2, … to its owner b, each adding its own values.
  absl::Status ReduceScatter(absl::Span<const float> partial, absl::Span<const size_t> counts,
                             absl::Span<float> mine) {
    NAVIT_RETURN_IF_ERROR(CheckCounts(counts, mine.size(), partial.size()));
    NAVIT_RETURN_IF_ERROR(transport_.StartOperation());
    const std::vector<size_t> offsets = Offsets(counts);
    if (world_size_ == 1) {
      std::copy(partial.begin(), partial.end(), mine.begin());
      return absl::OkStatus();
    }
    const size_t largest = *std::max_element(counts.begin(), counts.end());
    std::vector<float> carried(largest);
    std::vector<float> received(largest);
    for (int round = 0; round < world_size_ - 1; ++round) {
      const int out = Rank(rank_ - round - 1);
      const int in = Rank(rank_ - round - 2);
      const float* send = round == 0 ? partial.data() + offsets[out] : carried.data();
      NAVIT_RETURN_IF_ERROR(
          Shift(send, counts[out], received.data(), counts[in], &traffic_.reduce_scatter_bytes));
      const float* own = partial.data() + offsets[in];
      for (size_t i = 0; i < counts[in]; ++i) received[i] += own[i];
      carried.swap(received);
    }
    std::copy_n(carried.begin(), counts[rank_], mine.begin());
    return absl::OkStatus();
  }

  // A chain from the root on; a rank passes one piece on while it receives the next.
  absl::Status Broadcast(absl::Span<char> bytes, int root) {
    if (root < 0 || root >= world_size_) {
      return absl::FailedPreconditionError(
          absl::StrCat("broadcast from rank ", root, " of ", world_size_));
    }
    NAVIT_RETURN_IF_ERROR(transport_.StartOperation());
    const size_t pieces = (bytes.size() + kBroadcastPieceBytes - 1) / kBroadcastPieceBytes;
    const auto piece = [&](size_t index) {
      return bytes.subspan(index * kBroadcastPieceBytes, kBroadcastPieceBytes);
    };
    const bool receives = rank_ != root;
    const bool sends = Rank(rank_ + 1) != root;
    // In round k a rank receives piece k and sends piece k-1; the root has all of them at once.
    for (size_t round = 0; round <= pieces; ++round) {
      const bool in = receives && round < pieces;
      const bool out = sends && round >= 1;
      if (!in && !out) continue;
      const absl::Span<char> to = out ? piece(round - 1) : absl::Span<char>();
      const absl::Span<char> from = in ? piece(round) : absl::Span<char>();
      NAVIT_RETURN_IF_ERROR(
          Shift(to.data(), to.size(), from.data(), from.size(), &traffic_.broadcast_bytes));
    }
    return absl::OkStatus();
  }

  GlooTransport* transport() { return &transport_; }
  const CollectiveTraffic& traffic() const { return traffic_; }
  int rank() const { return rank_; }
  int world_size() const { return world_size_; }

 private:
  int Rank(int number) const { return (number % world_size_ + world_size_) % world_size_; }

  // Sends to the next rank of the ring, receives from the one before.
  template <typename T>
  absl::Status Shift(const T* send, size_t send_count, T* receive, size_t receive_count,
                     uint64_t* traffic) {
    *traffic += (send_count + receive_count) * sizeof(T);
    return transport_.Exchange(Rank(rank_ + 1), send, send_count * sizeof(T), Rank(rank_ - 1),
                               receive, receive_count * sizeof(T));
  }

  absl::Status CheckCounts(absl::Span<const size_t> counts, size_t mine, size_t all) const {
    if (counts.size() != static_cast<size_t>(world_size_) || counts[rank_] != mine ||
        std::accumulate(counts.begin(), counts.end(), size_t{0}) != all) {
      return absl::FailedPreconditionError("counts do not fit the buffers of the collective");
    }
    return absl::OkStatus();
  }

  const int rank_;
  const int world_size_;
  GlooTransport transport_;
  std::vector<char> scratch_;
  CollectiveTraffic traffic_;
};

GlooCollective::GlooCollective(const GlooOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}

GlooCollective::~GlooCollective() = default;

absl::Status GlooCollective::Connect(RendezvousStore* store) {
  if (impl_->world_size() == 1) return absl::OkStatus();
  return impl_->transport()->Connect(store);
}

int GlooCollective::rank() const { return impl_->rank(); }

int GlooCollective::world_size() const { return impl_->world_size(); }

absl::Status GlooCollective::AllReduceSum(absl::Span<float> values) {
  return impl_->AllReduce(values, Sum());
}

absl::Status GlooCollective::AllReduceSum(absl::Span<double> values) {
  return impl_->AllReduce(values, Sum());
}

absl::Status GlooCollective::AllReduceMax(absl::Span<float> values) {
  return impl_->AllReduce(values, Max());
}

absl::Status GlooCollective::AllGather(absl::Span<const float> mine,
                                       absl::Span<const size_t> counts, absl::Span<float> all) {
  return impl_->AllGather(mine, counts, all);
}

absl::Status GlooCollective::AllGather(absl::Span<const uint64_t> mine,
                                       absl::Span<const size_t> counts, absl::Span<uint64_t> all) {
  return impl_->AllGather(mine, counts, all);
}

absl::Status GlooCollective::ReduceScatter(absl::Span<const float> partial,
                                           absl::Span<const size_t> counts,
                                           absl::Span<float> mine) {
  return impl_->ReduceScatter(partial, counts, mine);
}

absl::Status GlooCollective::Broadcast(absl::Span<char> bytes, int root) {
  return impl_->Broadcast(bytes, root);
}

void GlooCollective::Abort() { impl_->transport()->Abort(); }

CollectiveTraffic GlooCollective::traffic() const { return impl_->traffic(); }

}  // namespace navit
