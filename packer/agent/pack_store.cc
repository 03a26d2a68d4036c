#include "packer/agent/pack_store.h"

#include <sys/random.h>

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace navit {
namespace {

constexpr size_t kTokenBytes = 16;

std::string DrawToken() {
  std::string token(kTokenBytes, '\0');
  // So few bytes come at once, or the kernel has no random numbers at all.
  if (getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size())) std::abort();
  return token;
}

// Takes as long wherever the two differ.
bool Equal(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned differences = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    differences |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return differences == 0;
}

}  // namespace

void PackStore::SetBytes(uint64_t bytes) {
  if (bytes == bytes_) return;
  bytes_ = bytes;
  if (on_bytes_) on_bytes_(bytes);
}

std::optional<std::string> PackStore::Keep(const v1::PackHeader& header,
                                           const grpc::ByteBuffer& frame) {
  absl::MutexLock lock(&mutex_);
  if (bytes_ + frame.Length() > max_bytes_) return std::nullopt;
  Kept& kept = leases_[header.lease_epoch()];
  if (kept.token.empty()) kept.token = DrawToken();
  const auto [entry, added] = kept.frames.try_emplace(header.index(), frame);
  uint64_t before = 0;
  if (!added) {
    before = entry->second.Length();
    entry->second = frame;
  }
  SetBytes(bytes_ - before + frame.Length());
  return kept.token;
}

absl::StatusOr<grpc::ByteBuffer> PackStore::Find(uint64_t lease_epoch, uint32_t index,
                                                 absl::string_view token) const {
  absl::MutexLock lock(&mutex_);
  const auto kept = leases_.find(lease_epoch);
  if (kept != leases_.end() && !Equal(kept->second.token, token)) {
    return absl::UnauthenticatedError(
        absl::StrCat("packs.token: is not that of lease ", lease_epoch));
  }
  if (kept != leases_.end()) {
    const auto frame = kept->second.frames.find(index);
    if (frame != kept->second.frames.end()) return frame->second;
  }
  return absl::NotFoundError(
      absl::StrCat("pack ", index, " of lease ", lease_epoch, " is not kept here"));
}

void PackStore::Drop(uint64_t lease_epoch, uint32_t index) {
  absl::MutexLock lock(&mutex_);
  const auto kept = leases_.find(lease_epoch);
  if (kept == leases_.end()) return;
  const auto frame = kept->second.frames.find(index);
  if (frame == kept->second.frames.end()) return;
  SetBytes(bytes_ - frame->second.Length());
  kept->second.frames.erase(frame);
}

void PackStore::DropLease(uint64_t lease_epoch) {
  absl::MutexLock lock(&mutex_);
  const auto kept = leases_.find(lease_epoch);
  if (kept == leases_.end()) return;
  uint64_t bytes = bytes_;
  for (const auto& [index, frame] : kept->second.frames) bytes -= frame.Length();
  SetBytes(bytes);
  leases_.erase(kept);
}

void PackStore::Clear() {
  absl::MutexLock lock(&mutex_);
  leases_.clear();
  SetBytes(0);
}

}  // namespace navit
