#include "server/relay/pack_bytes.h"

#include "server/relay/frame.h"

namespace navit {

void PackBytes::Put(const PackKey& key, const grpc::ByteBuffer& frame) {
  Drop(key);
  bytes_ += frame.Length();
  frames_.emplace(key, CompactFrame(frame));
}

const grpc::ByteBuffer* PackBytes::Find(const PackKey& key) const {
  const auto found = frames_.find(key);
  return found == frames_.end() ? nullptr : &found->second;
}

void PackBytes::Drop(const PackKey& key) {
  const auto found = frames_.find(key);
  if (found == frames_.end()) return;
  // Length() of a const ByteBuffer is what Put counted: the copy has as many bytes.
  bytes_ -= found->second.Length();
  frames_.erase(found);
}

}  // namespace navit
