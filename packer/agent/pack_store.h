// Packs that stay here for trainers to fetch: bytes by lease and index, bounded.
#ifndef NAVIT_PACKER_AGENT_PACK_STORE_H_
#define NAVIT_PACKER_AGENT_PACK_STORE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "proto/pack.pb.h"

namespace navit {

// Thread-safe. Bytes are shared: what is being sent stays alive after it was dropped.
class PackStore {
 public:
  // `on_bytes`, for metrics, hears how many bytes are kept after each change; it must not call the
  // store.
  explicit PackStore(uint64_t max_bytes, std::function<void(uint64_t)> on_bytes = {})
      : max_bytes_(max_bytes), on_bytes_(std::move(on_bytes)) {}

  // Keeps a frame and returns the token of its lease. nullopt, and nothing is kept: there is no
  // room.
  std::optional<std::string> Keep(const v1::PackHeader& header, const grpc::ByteBuffer& frame);
  // UNAUTHENTICATED: not the token of the lease. NOT_FOUND: not held.
  absl::StatusOr<grpc::ByteBuffer> Find(uint64_t lease_epoch, uint32_t index,
                                        absl::string_view token) const;
  void Drop(uint64_t lease_epoch, uint32_t index);
  void DropLease(uint64_t lease_epoch);
  void Clear();

 private:
  struct Kept {
    // Drawn by the operating system.
    std::string token;
    std::map<uint32_t, grpc::ByteBuffer> frames;
  };

  void SetBytes(uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t max_bytes_;
  const std::function<void(uint64_t)> on_bytes_;
  mutable absl::Mutex mutex_;
  std::map<uint64_t, Kept> leases_ ABSL_GUARDED_BY(mutex_);
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_PACK_STORE_H_
