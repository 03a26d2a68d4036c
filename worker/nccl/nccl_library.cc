#include "worker/nccl/nccl_library.h"

#include <dlfcn.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {
namespace {

constexpr char kLibrary[] = "libnccl.so.2";
constexpr int kOldestVersion = 21400;

class NcclLibrary final : public NcclApi {
 public:
  absl::Status Load() {
    void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return absl::NotFoundError(absl::StrCat("NCCL: ", dlerror()));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclGetVersion", &get_version_));
    int version = 0;
    get_version_(&version);
    if (version < kOldestVersion) {
      return absl::FailedPreconditionError(absl::StrCat("NCCL: ", kLibrary, " has version code ",
                                                        version, ", needed is ", kOldestVersion));
    }
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclGetUniqueId", &get_unique_id_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclCommInitRankConfig", &comm_init_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclCommGetAsyncError", &comm_get_async_error_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclCommFinalize", &comm_finalize_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclCommDestroy", &comm_destroy_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclCommAbort", &comm_abort_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclGroupStart", &group_start_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclGroupEnd", &group_end_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclAllReduce", &all_reduce_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclBroadcast", &broadcast_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclReduce", &reduce_));
    NAVIT_RETURN_IF_ERROR(Find(library, "ncclGetErrorString", &get_error_string_));
    return Find(library, "ncclGetLastError", &get_last_error_);
  }

  NcclResult GetUniqueId(NcclUniqueId* id) override { return get_unique_id_(id); }
  NcclResult CommInit(NcclComm* comm, int world_size, const NcclUniqueId& id, int rank) override {
    NcclConfig config;
    return comm_init_(comm, world_size, id, rank, &config);
  }
  NcclResult CommGetAsyncError(NcclComm comm, NcclResult* state) override {
    return comm_get_async_error_(comm, state);
  }
  NcclResult CommFinalize(NcclComm comm) override { return comm_finalize_(comm); }
  NcclResult CommDestroy(NcclComm comm) override { return comm_destroy_(comm); }
  NcclResult CommAbort(NcclComm comm) override { return comm_abort_(comm); }
  NcclResult GroupStart() override { return group_start_(); }
  NcclResult GroupEnd() override { return group_end_(); }
  NcclResult AllReduce(const void* send, void* receive, size_t count, NcclType type, NcclOp op,
                       NcclComm comm, NcclStream stream) override {
    return all_reduce_(send, receive, count, type, op, comm, stream);
  }
  NcclResult Broadcast(const void* send, void* receive, size_t count, NcclType type, int root,
                       NcclComm comm, NcclStream stream) override {
    return broadcast_(send, receive, count, type, root, comm, stream);
  }
  NcclResult Reduce(const void* send, void* receive, size_t count, NcclType type, NcclOp op,
                    int root, NcclComm comm, NcclStream stream) override {
    return reduce_(send, receive, count, type, op, root, comm, stream);
  }
  std::string Describe(NcclResult result, NcclComm comm) override {
    return absl::StrCat(get_error_string_(result), ": ", get_last_error_(comm));
  }

 private:
  template <typename Function>
  static absl::Status Find(void* library, const char* name, Function** function) {
    *function = reinterpret_cast<Function*>(dlsym(library, name));
    if (*function != nullptr) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("NCCL: ", kLibrary, " has no ", name));
  }

  NcclResult (*get_version_)(int*);
  NcclResult (*get_unique_id_)(NcclUniqueId*);
  NcclResult (*comm_init_)(NcclComm*, int, NcclUniqueId, int, NcclConfig*);
  NcclResult (*comm_get_async_error_)(NcclComm, NcclResult*);
  NcclResult (*comm_finalize_)(NcclComm);
  NcclResult (*comm_destroy_)(NcclComm);
  NcclResult (*comm_abort_)(NcclComm);
  NcclResult (*group_start_)();
  NcclResult (*group_end_)();
  NcclResult (*all_reduce_)(const void*, void*, size_t, NcclType, NcclOp, NcclComm, NcclStream);
  NcclResult (*broadcast_)(const void*, void*, size_t, NcclType, int, NcclComm, NcclStream);
  NcclResult (*reduce_)(const void*, void*, size_t, NcclType, NcclOp, int, NcclComm, NcclStream);
  const char* (*get_error_string_)(NcclResult);
  const char* (*get_last_error_)(NcclComm);
};

absl::StatusOr<NcclApi*> Load() {
  auto library = std::make_unique<NcclLibrary>();
  NAVIT_RETURN_IF_ERROR(library->Load());
  return library.release();
}

}  // namespace

absl::StatusOr<NcclApi*> LoadNccl() {
  static const auto* const library = new absl::StatusOr<NcclApi*>(Load());
  return *library;
}

}  // namespace navit
