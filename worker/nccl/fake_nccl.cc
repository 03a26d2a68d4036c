#include "worker/nccl/fake_nccl.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/device/host_device.h"

namespace navit {

struct FakeNccl::Operation {
  std::string name;
  size_t count = 0;
  NcclType type = NcclType::kUint8;
  NcclOp op = NcclOp::kSum;
  int root = -1;  // all-reduce: -1

  // By rank; null: not there yet.
  std::vector<const void*> send;
  std::vector<void*> receive;
  std::vector<bool> arrived;
  bool done = false;
};

struct FakeNccl::World {
  int size = 0;
  int joined = 0;
  bool broken = false;
  std::vector<Operation> operations;
};

struct FakeNccl::Member {
  World* world = nullptr;
  int rank = 0;
  size_t operations = 0;
  // Questions until the last call is no longer in progress.
  int pending = 0;
  // Aborted or destroyed.
  bool gone = false;
};

namespace {

constexpr int kForEver = std::numeric_limits<int>::max();

// Open groups of the thread.
thread_local int group_depth = 0;

size_t SizeOf(NcclType type) {
  switch (type) {
    case NcclType::kUint8:
      return 1;
    case NcclType::kFloat32:
      return 4;
    default:
      return 8;
  }
}

template <typename T>
void Combine(NcclOp op, size_t count, const std::vector<const void*>& parts, void* to) {
  std::vector<T> result(count);
  for (size_t i = 0; i < count; ++i) {
    result[i] = static_cast<const T*>(parts[0])[i];
    for (size_t rank = 1; rank < parts.size(); ++rank) {
      const T value = static_cast<const T*>(parts[rank])[i];
      result[i] = op == NcclOp::kSum ? result[i] + value : std::max(result[i], value);
    }
  }
  std::memcpy(to, result.data(), count * sizeof(T));
}

}  // namespace

FakeNccl::FakeNccl(int polls) : polls_(polls) {}

FakeNccl::~FakeNccl() = default;

void FakeNccl::FailCall(const std::string& name, int rank, int nth, NcclResult result) {
  absl::MutexLock lock(&mutex_);
  failures_[{name, rank}][nth] = result;
}

void FakeNccl::HideAborts() {
  absl::MutexLock lock(&mutex_);
  hide_aborts_ = true;
}

std::vector<std::string> FakeNccl::misuses() const {
  absl::MutexLock lock(&mutex_);
  return misuses_;
}

int FakeNccl::open_communicators() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(std::count_if(members_.begin(), members_.end(),
                                        [](const auto& member) { return !member->gone; }));
}

int FakeNccl::calls(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  int calls = 0;
  for (const auto& [call, count] : counts_) calls += call.first == name ? count : 0;
  return calls;
}

NcclResult FakeNccl::Enter(const std::string& name, Member* member) {
  if (member->gone) {
    misuses_.push_back(absl::StrCat(name, " on a communicator that is gone"));
    return NcclResult::kInvalidArgument;
  }
  if (member->pending > 0) {
    misuses_.push_back(absl::StrCat(name, " while a call is in progress"));
    return NcclResult::kInvalidUsage;
  }
  const int nth = counts_[{name, member->rank}]++;
  const auto& failures = failures_[{name, member->rank}];
  const auto failure = failures.find(nth);
  if (failure == failures.end()) return NcclResult::kSuccess;
  if (failure->second == NcclResult::kInProgress) member->pending = kForEver;
  return failure->second;
}

NcclResult FakeNccl::GetUniqueId(NcclUniqueId* id) {
  absl::MutexLock lock(&mutex_);
  std::memset(id->bytes, ++ids_, sizeof(id->bytes));
  return NcclResult::kSuccess;
}

NcclResult FakeNccl::CommInit(NcclComm* comm, int world_size, const NcclUniqueId& id, int rank) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<World>& world = worlds_[std::string(id.bytes, sizeof(id.bytes))];
  if (world == nullptr) world = std::make_unique<World>();
  if (world->joined == world->size && world->size > 0) {
    misuses_.push_back("the id of a world that is complete was used again");
  }
  world->size = world_size;
  members_.push_back(std::make_unique<Member>());
  Member* const member = members_.back().get();
  member->world = world.get();
  member->rank = rank;
  const NcclResult wanted = Enter("ncclCommInitRankConfig", member);
  if (wanted != NcclResult::kSuccess && wanted != NcclResult::kInProgress) {
    member->gone = true;
    return wanted;
  }
  *comm = reinterpret_cast<NcclComm>(member);
  if (wanted == NcclResult::kSuccess) ++world->joined;
  member->pending = std::max(member->pending, polls_ + 1);
  return NcclResult::kInProgress;
}

NcclResult FakeNccl::CommGetAsyncError(NcclComm comm, NcclResult* state) {
  absl::MutexLock lock(&mutex_);
  Member* const member = Of(comm);
  if (member->gone) {
    misuses_.push_back("ncclCommGetAsyncError on a communicator that is gone");
    return NcclResult::kInvalidArgument;
  }
  if (member->world->broken && !hide_aborts_) {
    *state = NcclResult::kRemoteError;
    return NcclResult::kSuccess;
  }
  const bool alone = member->world->joined < member->world->size;
  if (member->pending > 1 && member->pending != kForEver) --member->pending;
  if (member->pending > 1 || (member->pending == 1 && alone)) {
    *state = NcclResult::kInProgress;
  } else {
    member->pending = 0;
    *state = NcclResult::kSuccess;
  }
  return NcclResult::kSuccess;
}

NcclResult FakeNccl::CommFinalize(NcclComm comm) {
  absl::MutexLock lock(&mutex_);
  const NcclResult wanted = Enter("ncclCommFinalize", Of(comm));
  if (wanted != NcclResult::kSuccess) return wanted;
  Of(comm)->pending = polls_ + 1;
  return NcclResult::kInProgress;
}

NcclResult FakeNccl::CommDestroy(NcclComm comm) {
  absl::MutexLock lock(&mutex_);
  const NcclResult wanted = Enter("ncclCommDestroy", Of(comm));
  Of(comm)->gone = true;
  return wanted;
}

NcclResult FakeNccl::CommAbort(NcclComm comm) {
  absl::MutexLock lock(&mutex_);
  if (Of(comm)->gone) misuses_.push_back("ncclCommAbort on a communicator that is gone");
  Of(comm)->world->broken = true;
  Of(comm)->gone = true;
  return NcclResult::kSuccess;
}

NcclResult FakeNccl::GroupStart() {
  ++group_depth;
  return NcclResult::kSuccess;
}

NcclResult FakeNccl::GroupEnd() {
  absl::MutexLock lock(&mutex_);
  if (--group_depth < 0) misuses_.push_back("ncclGroupEnd without ncclGroupStart");
  // The members' calls were made by this thread, and are in progress now.
  return NcclResult::kInProgress;
}

NcclResult FakeNccl::Queue(const std::string& name, Operation operation, const void* send,
                           void* receive, NcclComm comm, NcclStream stream) {
  absl::MutexLock lock(&mutex_);
  Member* const member = Of(comm);
  // Calls of one group are one operation of the communicator.
  const int pending = group_depth > 0 ? std::exchange(member->pending, 0) : 0;
  const NcclResult wanted = Enter(name, member);
  if (wanted != NcclResult::kSuccess) return wanted;
  member->pending = std::max(pending, polls_ + 1);
  World* const world = member->world;
  const size_t index = member->operations++;
  if (index == world->operations.size()) {
    operation.name = name;
    operation.send.resize(world->size);
    operation.receive.resize(world->size);
    operation.arrived.resize(world->size);
    world->operations.push_back(std::move(operation));
  } else if (world->operations[index].name != name ||
             world->operations[index].count != operation.count ||
             world->operations[index].root != operation.root) {
    misuses_.push_back(absl::StrCat("rank ", member->rank, " calls ", name, " where others call ",
                                    world->operations[index].name, ", or on other elements"));
    return NcclResult::kInvalidUsage;
  }
  world->operations[index].send[member->rank] = send;
  world->operations[index].receive[member->rank] = receive;
  HostDevice::Enqueue(stream, [this, member, index] { return Advance(member, index); });
  return NcclResult::kInProgress;
}

bool FakeNccl::Advance(Member* member, size_t index) {
  absl::MutexLock lock(&mutex_);
  // The stream of an aborted communicator becomes idle.
  if (member->gone) return true;
  Operation& operation = member->world->operations[index];
  operation.arrived[member->rank] = true;
  const bool all = std::all_of(operation.arrived.begin(), operation.arrived.end(),
                               [](bool arrived) { return arrived; });
  if (all && !operation.done) {
    Execute(&operation);
    operation.done = true;
  }
  return operation.done;
}

void FakeNccl::Execute(Operation* operation) {
  const size_t bytes = operation->count * SizeOf(operation->type);
  std::vector<char> result(bytes);
  if (operation->name == "ncclBroadcast") {
    std::memcpy(result.data(), operation->send[operation->root], bytes);
  } else if (operation->type == NcclType::kFloat32) {
    Combine<float>(operation->op, operation->count, operation->send, result.data());
  } else if (operation->type == NcclType::kFloat64) {
    Combine<double>(operation->op, operation->count, operation->send, result.data());
  }
  for (size_t rank = 0; rank < operation->receive.size(); ++rank) {
    if (operation->name == "ncclReduce" && static_cast<int>(rank) != operation->root) continue;
    std::memcpy(operation->receive[rank], result.data(), bytes);
  }
}

NcclResult FakeNccl::AllReduce(const void* send, void* receive, size_t count, NcclType type,
                               NcclOp op, NcclComm comm, NcclStream stream) {
  Operation operation;
  operation.count = count;
  operation.type = type;
  operation.op = op;
  return Queue("ncclAllReduce", std::move(operation), send, receive, comm, stream);
}

NcclResult FakeNccl::Broadcast(const void* send, void* receive, size_t count, NcclType type,
                               int root, NcclComm comm, NcclStream stream) {
  Operation operation;
  operation.count = count;
  operation.type = type;
  operation.root = root;
  return Queue("ncclBroadcast", std::move(operation), send, receive, comm, stream);
}

NcclResult FakeNccl::Reduce(const void* send, void* receive, size_t count, NcclType type, NcclOp op,
                            int root, NcclComm comm, NcclStream stream) {
  Operation operation;
  operation.count = count;
  operation.type = type;
  operation.op = op;
  operation.root = root;
  return Queue("ncclReduce", std::move(operation), send, receive, comm, stream);
}

std::string FakeNccl::Describe(NcclResult result, NcclComm /*comm*/) {
  return absl::StrCat("NCCL result ", static_cast<int>(result));
}

}  // namespace navit
