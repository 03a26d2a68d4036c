#include "worker/nccl/nccl_collective.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/status_macros.h"

namespace navit {
namespace {

constexpr char kIdKey[] = "nccl/id";
// Host buffers of more bytes go through the device in pieces.
constexpr size_t kPieceBytes = size_t{32} << 20;
// How long the queue of a communicator that never failed may take to empty at its end.
constexpr absl::Duration kFarewell = absl::Seconds(2);

absl::Duration Now() { return Clock::Real()->SteadyNow(); }

// First often, as most operations are short, then without burning a core.
class Pause {
 public:
  void Wait() { absl::SleepFor(++count_ < 200 ? absl::ZeroDuration() : absl::Microseconds(50)); }

 private:
  int count_ = 0;
};

template <typename T>
constexpr NcclType TypeOf() {
  if constexpr (std::is_same_v<T, float>) return NcclType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return NcclType::kFloat64;
  if constexpr (std::is_same_v<T, uint64_t>) return NcclType::kUint64;
}

// offsets[r] is the first element of rank r's block; the last element is the sum.
std::vector<size_t> Offsets(absl::Span<const size_t> counts) {
  std::vector<size_t> offsets(counts.size() + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), offsets.begin() + 1);
  return offsets;
}

// One operation of many calls, one for each rank that has something to move.
NcclResult Grouped(NcclApi* nccl, absl::Span<const size_t> counts,
                   const std::function<NcclResult(int root)>& call) {
  NcclResult result = nccl->GroupStart();
  if (result != NcclResult::kSuccess) return result;
  for (size_t root = 0; root < counts.size(); ++root) {
    if (counts[root] == 0) continue;
    const NcclResult one = call(static_cast<int>(root));
    if (one != NcclResult::kSuccess && one != NcclResult::kInProgress) result = one;
  }
  // Also after an error: the group must be closed.
  const NcclResult end = nccl->GroupEnd();
  return result != NcclResult::kSuccess ? result : end;
}

}  // namespace

NcclCollective::NcclCollective(const NcclOptions& options, NcclApi* nccl, Device* device)
    : options_(options), nccl_(nccl), device_(device) {}

NcclCollective::~NcclCollective() {
  const bool open = [this] {
    absl::MutexLock lock(&mutex_);
    return comm_ != nullptr;
  }();
  if (open && Run(
                  "ncclCommFinalize", [this](NcclComm comm) { return nccl_->CommFinalize(comm); },
                  Now() + kFarewell)
                  .ok()) {
    absl::MutexLock lock(&mutex_);
    if (comm_ != nullptr) nccl_->CommDestroy(std::exchange(comm_, nullptr));
  }
  if (stream_ != nullptr) device_->DestroyStream(stream_);
}

absl::Status NcclCollective::Connect(RendezvousStore* store) {
  const absl::Duration deadline = Now() + options_.timeout;
  NAVIT_RETURN_IF_ERROR(broken());
  NAVIT_RETURN_IF_ERROR(Start(0));
  NcclUniqueId id;
  if (options_.rank == 0) {
    const NcclResult result = nccl_->GetUniqueId(&id);
    if (result != NcclResult::kSuccess) return Break("ncclGetUniqueId", result);
    const absl::Status set = store->Set(kIdKey, std::string(id.bytes, sizeof(id.bytes)));
    if (!set.ok()) return Break(set);
  } else {
    const auto got = store->Get({kIdKey}, options_.timeout);
    if (!got.ok()) return Break(got.status());
    if (got->front().size() != sizeof(id.bytes)) {
      return Break(absl::InternalError("rank 0 left something else than NCCL's unique id"));
    }
    std::memcpy(id.bytes, got->front().data(), sizeof(id.bytes));
  }
  return Init(id, deadline);
}

absl::Status NcclCollective::Init(const NcclUniqueId& id, absl::Duration deadline) {
  NcclResult result;
  {
    absl::MutexLock lock(&mutex_);
    if (!broken_.ok()) return broken_;
    result = nccl_->CommInit(&comm_, options_.world_size, id, options_.rank);
  }
  return AwaitReady("ncclCommInitRankConfig", result, deadline);
}

absl::Status NcclCollective::Run(absl::string_view name, const Call& call,
                                 absl::Duration deadline) {
  NcclResult result;
  {
    absl::MutexLock lock(&mutex_);
    if (!broken_.ok()) return broken_;
    result = call(comm_);
  }
  return AwaitReady(name, result, deadline);
}

absl::Status NcclCollective::RunToEnd(absl::string_view name, const Call& call) {
  const absl::Duration deadline = Now() + options_.timeout;
  NAVIT_RETURN_IF_ERROR(Run(name, call, deadline));
  return AwaitStream(name, deadline);
}

absl::Status NcclCollective::AwaitReady(absl::string_view name, NcclResult result,
                                        absl::Duration deadline) {
  Pause pause;
  while (result == NcclResult::kInProgress) {
    if (Now() > deadline) return Break(TimedOut(name));
    pause.Wait();
    absl::MutexLock lock(&mutex_);
    if (!broken_.ok()) return broken_;
    const NcclResult asked = nccl_->CommGetAsyncError(comm_, &result);
    if (asked != NcclResult::kSuccess) result = asked;
  }
  return result == NcclResult::kSuccess ? absl::OkStatus() : Break(name, result);
}

absl::Status NcclCollective::AwaitStream(absl::string_view name, absl::Duration deadline) {
  Pause pause;
  while (true) {
    // In this order: the stream of an aborted communicator becomes idle too.
    const absl::StatusOr<bool> idle = device_->Idle(stream_);
    NcclResult state = NcclResult::kSuccess;
    {
      absl::MutexLock lock(&mutex_);
      if (!broken_.ok()) return broken_;
      const NcclResult asked = nccl_->CommGetAsyncError(comm_, &state);
      if (asked != NcclResult::kSuccess) state = asked;
    }
    if (state != NcclResult::kSuccess && state != NcclResult::kInProgress) {
      return Break(name, state);
    }
    if (!idle.ok()) return Break(idle.status());
    if (*idle) return absl::OkStatus();
    if (Now() > deadline) return Break(TimedOut(name));
    pause.Wait();
  }
}

absl::Status NcclCollective::Break(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (broken_.ok()) broken_ = status;
  // Its result says nothing that would change what follows: the handle is gone.
  if (comm_ != nullptr) nccl_->CommAbort(std::exchange(comm_, nullptr));
  return broken_;
}

absl::Status NcclCollective::Break(absl::string_view name, NcclResult result) {
  std::string text;
  {
    absl::MutexLock lock(&mutex_);
    text = nccl_->Describe(result, comm_);
  }
  const std::string message = absl::StrCat(Who(name), ": ", text);
  const bool elsewhere = result == NcclResult::kRemoteError || result == NcclResult::kSystemError;
  return Break(elsewhere ? absl::UnavailableError(message) : absl::InternalError(message));
}

std::string NcclCollective::Who(absl::string_view name) const {
  return absl::StrCat(name, " on rank ", options_.rank, " of ", options_.world_size);
}

absl::Status NcclCollective::TimedOut(absl::string_view name) const {
  return absl::DeadlineExceededError(absl::StrCat(Who(name), " waited for the other ranks for ",
                                                  absl::FormatDuration(options_.timeout)));
}

absl::Status NcclCollective::broken() const {
  absl::MutexLock lock(&mutex_);
  return broken_;
}

absl::Status NcclCollective::Start(size_t staging_bytes) {
  NAVIT_RETURN_IF_ERROR(broken());
  NAVIT_RETURN_IF_ERROR(device_->MakeCurrent());
  if (stream_ == nullptr) {
    NAVIT_ASSIGN_OR_RETURN(stream_, device_->CreateStream());
  }
  return GrowBuffer(staging_bytes, device_, &staging_);
}

absl::Status NcclCollective::CopyIn(size_t offset, const void* from, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  return device_->Copy(static_cast<char*>(staging_.data()) + offset, from, bytes, stream_);
}

absl::Status NcclCollective::CopyOut(void* to, size_t offset, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  NAVIT_RETURN_IF_ERROR(
      device_->Copy(to, static_cast<const char*>(staging_.data()) + offset, bytes, stream_));
  return device_->Synchronize(stream_);
}

absl::Status NcclCollective::InPlace(
    absl::string_view name, void* data, size_t bytes,
    const std::function<NcclResult(NcclComm, void*, size_t)>& call) {
  if (bytes == 0) return broken();
  if (device_->Owns(data)) {
    NAVIT_RETURN_IF_ERROR(Start(0));
    return RunToEnd(name, [&](NcclComm comm) { return call(comm, data, bytes); });
  }
  NAVIT_RETURN_IF_ERROR(Start(std::min(bytes, kPieceBytes)));
  for (size_t begin = 0; begin < bytes; begin += kPieceBytes) {
    const size_t piece = std::min(kPieceBytes, bytes - begin);
    char* const host = static_cast<char*>(data) + begin;
    NAVIT_RETURN_IF_ERROR(CopyIn(0, host, piece));
    NAVIT_RETURN_IF_ERROR(
        RunToEnd(name, [&](NcclComm comm) { return call(comm, staging_.data(), piece); }));
    NAVIT_RETURN_IF_ERROR(CopyOut(host, 0, piece));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status NcclCollective::AllReduce(absl::Span<T> values, NcclOp op) {
  const size_t bytes = values.size() * sizeof(T);
  traffic_.all_reduce_bytes += 2 * RingBytes(bytes);
  return InPlace(
      "ncclAllReduce", values.data(), bytes, [&](NcclComm comm, void* data, size_t size) {
        return nccl_->AllReduce(data, data, size / sizeof(T), TypeOf<T>(), op, comm, stream_);
      });
}

absl::Status NcclCollective::AllReduceSum(absl::Span<float> values) {
  return AllReduce(values, NcclOp::kSum);
}

absl::Status NcclCollective::AllReduceSum(absl::Span<double> values) {
  return AllReduce(values, NcclOp::kSum);
}

absl::Status NcclCollective::AllReduceMax(absl::Span<float> values) {
  return AllReduce(values, NcclOp::kMax);
}

absl::Status NcclCollective::Broadcast(absl::Span<char> bytes, int root) {
  if (root < 0 || root >= options_.world_size) {
    return absl::FailedPreconditionError(
        absl::StrCat("broadcast from rank ", root, " of ", options_.world_size));
  }
  traffic_.broadcast_bytes += RingBytes(bytes.size());
  return InPlace("ncclBroadcast", bytes.data(), bytes.size(),
                 [&](NcclComm comm, void* data, size_t size) {
                   return nccl_->Broadcast(data, data, size, NcclType::kUint8, root, comm, stream_);
                 });
}

template <typename T>
absl::Status NcclCollective::Gather(absl::Span<const T> mine, absl::Span<const size_t> counts,
                                    absl::Span<T> all) {
  NAVIT_RETURN_IF_ERROR(CheckCounts(counts, mine.size(), all.size()));
  if (all.empty()) return broken();
  const size_t bytes = all.size() * sizeof(T);
  traffic_.all_gather_bytes += RingBytes(bytes);
  const bool staged = !device_->Owns(all.data());
  NAVIT_RETURN_IF_ERROR(Start(staged ? bytes : 0));
  const std::vector<size_t> offsets = Offsets(counts);
  T* const gathered = staged ? static_cast<T*>(staging_.data()) : all.data();
  if (!mine.empty()) {
    NAVIT_RETURN_IF_ERROR(device_->Copy(gathered + offsets[options_.rank], mine.data(),
                                        mine.size() * sizeof(T), stream_));
  }
  NAVIT_RETURN_IF_ERROR(RunToEnd("ncclBroadcast of an all-gather", [&](NcclComm comm) {
    return Grouped(nccl_, counts, [&](int root) {
      T* const block = gathered + offsets[root];
      return nccl_->Broadcast(block, block, counts[root], TypeOf<T>(), root, comm, stream_);
    });
  }));
  return staged ? CopyOut(all.data(), 0, bytes) : absl::OkStatus();
}

absl::Status NcclCollective::AllGather(absl::Span<const float> mine,
                                       absl::Span<const size_t> counts, absl::Span<float> all) {
  return Gather(mine, counts, all);
}

absl::Status NcclCollective::AllGather(absl::Span<const uint64_t> mine,
                                       absl::Span<const size_t> counts, absl::Span<uint64_t> all) {
  return Gather(mine, counts, all);
}

absl::Status NcclCollective::ReduceScatter(absl::Span<const float> partial,
                                           absl::Span<const size_t> counts,
                                           absl::Span<float> mine) {
  NAVIT_RETURN_IF_ERROR(CheckCounts(counts, mine.size(), partial.size()));
  if (partial.empty()) return broken();
  traffic_.reduce_scatter_bytes += RingBytes(partial.size() * sizeof(float));
  const bool from_host = !device_->Owns(partial.data());
  const bool to_host = mine.empty() || !device_->Owns(mine.data());
  // In the staging buffer: first what comes from the host, then what goes there.
  const size_t begin = from_host ? partial.size() : 0;
  NAVIT_RETURN_IF_ERROR(Start((begin + (to_host ? mine.size() : 0)) * sizeof(float)));
  float* const staging = static_cast<float*>(staging_.data());
  if (from_host) NAVIT_RETURN_IF_ERROR(CopyIn(0, partial.data(), begin * sizeof(float)));
  const float* const blocks = from_host ? staging : partial.data();
  float* const sum = to_host ? staging + begin : mine.data();
  const std::vector<size_t> offsets = Offsets(counts);
  NAVIT_RETURN_IF_ERROR(RunToEnd("ncclReduce of a reduce-scatter", [&](NcclComm comm) {
    return Grouped(nccl_, counts, [&](int root) {
      return nccl_->Reduce(blocks + offsets[root], root == options_.rank ? sum : nullptr,
                           counts[root], NcclType::kFloat32, NcclOp::kSum, root, comm, stream_);
    });
  }));
  if (!to_host) return absl::OkStatus();
  return CopyOut(mine.data(), begin * sizeof(float), mine.size() * sizeof(float));
}

void NcclCollective::Abort() {
  Break(absl::AbortedError(absl::StrCat("rank ", options_.rank, " left the collective")))
      .IgnoreError();
}

uint64_t NcclCollective::RingBytes(size_t bytes) const {
  return 2 * static_cast<uint64_t>(bytes) * (options_.world_size - 1) / options_.world_size;
}

absl::Status NcclCollective::CheckCounts(absl::Span<const size_t> counts, size_t mine,
                                         size_t all) const {
  if (counts.size() == static_cast<size_t>(options_.world_size) && counts[options_.rank] == mine &&
      std::accumulate(counts.begin(), counts.end(), size_t{0}) == all) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError("counts do not fit the buffers of the collective");
}

}  // namespace navit
