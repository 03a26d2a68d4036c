// NCCL between threads of one process on a HostDevice, for tests. It holds callers to NCCL's rules
// and notes what breaks them: a call on a communicator whose last call is still in progress, or
// that was aborted or destroyed; ranks that call different operations.
#ifndef NAVIT_WORKER_NCCL_FAKE_NCCL_H_
#define NAVIT_WORKER_NCCL_FAKE_NCCL_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "worker/nccl/nccl_api.h"

namespace navit {

class FakeNccl : public NcclApi {
 public:
  // So many questions for its state are answered by kInProgress after each call.
  explicit FakeNccl(int polls = 3);
  ~FakeNccl() override;

  // The `nth` call (from 0) of that name, as "ncclAllReduce", on that rank gives this result.
  // kInProgress: for ever.
  void FailCall(const std::string& name, int rank, int nth, NcclResult result);
  // Communicators of other ranks do not notice an abort, as over NVLink.
  void HideAborts();

  // What broke the rules.
  std::vector<std::string> misuses() const;
  // Communicators that were neither destroyed nor aborted.
  int open_communicators() const;
  int calls(const std::string& name) const;

  NcclResult GetUniqueId(NcclUniqueId* id) override;
  NcclResult CommInit(NcclComm* comm, int world_size, const NcclUniqueId& id, int rank) override;
  NcclResult CommGetAsyncError(NcclComm comm, NcclResult* state) override;
  NcclResult CommFinalize(NcclComm comm) override;
  NcclResult CommDestroy(NcclComm comm) override;
  NcclResult CommAbort(NcclComm comm) override;
  NcclResult GroupStart() override;
  NcclResult GroupEnd() override;
  NcclResult AllReduce(const void* send, void* receive, size_t count, NcclType type, NcclOp op,
                       NcclComm comm, NcclStream stream) override;
  NcclResult Broadcast(const void* send, void* receive, size_t count, NcclType type, int root,
                       NcclComm comm, NcclStream stream) override;
  NcclResult Reduce(const void* send, void* receive, size_t count, NcclType type, NcclOp op,
                    int root, NcclComm comm, NcclStream stream) override;
  std::string Describe(NcclResult result, NcclComm comm) override;

 private:
  struct World;
  struct Operation;
  struct Member;

  static Member* Of(NcclComm comm) { return reinterpret_cast<Member*>(comm); }
  // Notes the call and whether it may be made; the result that a test wants, or kSuccess.
  NcclResult Enter(const std::string& name, Member* member) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  NcclResult Queue(const std::string& name, Operation operation, const void* send, void* receive,
                   NcclComm comm, NcclStream stream);
  // Whether this rank's part of the operation is done.
  bool Advance(Member* member, size_t index);
  static void Execute(Operation* operation);

  const int polls_;
  mutable absl::Mutex mutex_;
  int ids_ ABSL_GUARDED_BY(mutex_) = 0;
  bool hide_aborts_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::unique_ptr<World>> worlds_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Member>> members_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, int>, std::map<int, NcclResult>> failures_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, int>, int> counts_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> misuses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_WORKER_NCCL_FAKE_NCCL_H_
