// The bytes of the packs that the relay holds. Which packs those are is core's decision
// (server/core/relay_ledger.h); here is only the memory.
#ifndef NAVIT_SERVER_RELAY_PACK_BYTES_H_
#define NAVIT_SERVER_RELAY_PACK_BYTES_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "server/core/coordinator.h"

namespace navit {

// Thread-compatible. Bytes are shared, not copied: a stream that is sending a frame keeps it alive
// after Drop.
class PackBytes {
 public:
  // Replaces what was held under `key`.
  void Put(const PackKey& key, const grpc::ByteBuffer& frame);
  // Null: not held. Valid until the next Put or Drop.
  const grpc::ByteBuffer* Find(const PackKey& key) const;
  void Drop(const PackKey& key);

  size_t packs() const { return frames_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  absl::flat_hash_map<PackKey, grpc::ByteBuffer> frames_;
  uint64_t bytes_ = 0;
};

}  // namespace navit

#endif  // NAVIT_SERVER_RELAY_PACK_BYTES_H_
