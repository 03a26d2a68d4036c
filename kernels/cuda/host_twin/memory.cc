#include "kernels/cuda/host_twin/memory.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace navit::kernels::cuda::twin {
namespace {

constexpr size_t kGuard = 128;
constexpr std::byte kGuardByte{0xa5};
constexpr std::byte kPoison{0xff};  // a NaN in every float type
constexpr size_t kMaxTexts = 20;

thread_local std::map<const void*, Region*> regions;  // by first byte
thread_local Findings findings;

std::string Thread(int64_t thread) { return "thread " + std::to_string(thread); }

}  // namespace

Region::Region(std::string name, size_t bytes)
    : name_(std::move(name)),
      bytes_(bytes),
      storage_(new std::byte[bytes + 3 * kGuard]),
      shadow_(bytes) {
  // As aligned as what cudaMalloc gives, up to 128 bytes.
  const auto address = reinterpret_cast<uintptr_t>(storage_.get() + kGuard);
  data_ = storage_.get() + kGuard + (kGuard - address % kGuard) % kGuard;
  std::fill(storage_.get(), data_, kGuardByte);
  std::fill(data_, data_ + bytes, kPoison);
  std::fill(data_ + bytes, storage_.get() + bytes + 3 * kGuard, kGuardByte);
  regions[data_] = this;
}

Region::~Region() { regions.erase(data_); }

void Region::SetWritten(size_t offset, size_t bytes) {
  Shadow written;
  written.written = true;
  std::fill(shadow_.begin() + offset, shadow_.begin() + offset + bytes, written);
}

void Region::SetUnwritten(size_t offset, size_t bytes) {
  std::fill(data_ + offset, data_ + offset + bytes, kPoison);
  std::fill(shadow_.begin() + offset, shadow_.begin() + offset + bytes, Shadow{});
}

bool Region::Conflicts(const Actor& actor, const Stamp& earlier) {
  if (earlier.interval < actor.launch_begin) return false;  // another launch, or never
  if (earlier.interval < actor.block_begin) return true;    // another block
  if (earlier.interval != actor.interval || earlier.thread == actor.thread) return false;
  return earlier.thread / 32 != actor.thread / 32 || earlier.warp_epoch == actor.warp_epoch;
}

std::string Region::Where(size_t offset, size_t bytes) const {
  return name_ + " bytes [" + std::to_string(offset) + ", " + std::to_string(offset + bytes) + ")";
}

bool Region::InBounds(const std::byte* p, size_t bytes, const char* what, const Site& site) const {
  const auto offset = p - data_;
  if (offset < 0 || static_cast<size_t>(offset) + bytes > bytes_) {
    Report(site, std::string(what) + " outside of " + name_ + ": byte " + std::to_string(offset) +
                     " of " + std::to_string(bytes_));
    return false;
  }
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) {
    Report(site, std::string("misaligned ") + what + " of " + Where(offset, bytes));
    return false;
  }
  return true;
}

bool Region::Read(const Actor& actor, const std::byte* from, void* to, size_t bytes,
                  const Site& site) {
  if (!InBounds(from, bytes, "read", site)) return false;
  const size_t offset = from - data_;
  const Stamp now = {actor.interval, actor.thread, actor.warp_epoch};
  const char* finding = nullptr;
  int64_t other = 0;
  for (size_t i = offset; i < offset + bytes; ++i) {
    Shadow& shadow = shadow_[i];
    if (shadow.pending) {
      finding = "read of bytes that an asynchronous copy has yet to fill";
    } else if (!shadow.written) {
      finding = "read of bytes that nobody wrote";
    } else if (Conflicts(actor, shadow.write)) {
      finding = "race: read after write";
      other = shadow.write.thread;
    }
    if (shadow.read.interval < actor.block_begin || shadow.read.thread / 32 != actor.thread / 32) {
      // A read of another block stays: no barrier of this one orders it.
      const bool other_block = shadow.warp_read.interval >= actor.launch_begin &&
                               shadow.warp_read.interval < actor.block_begin;
      if (!other_block) shadow.warp_read = shadow.read;
      shadow.lane_read = {};
    } else if (shadow.read.thread != actor.thread) {
      shadow.lane_read = shadow.read;
    }
    shadow.read = now;
  }
  if (finding != nullptr) {
    Report(site, std::string(finding) + ": " + Where(offset, bytes) + " by " +
                     Thread(actor.thread) + " of block " + std::to_string(actor.block) +
                     (other != 0 ? ", written by " + Thread(other) : ""));
  }
  std::memcpy(to, from, bytes);
  return true;
}

void Region::CheckWrite(const Actor& actor, size_t offset, size_t bytes, const Site& site) {
  for (size_t i = offset; i < offset + bytes; ++i) {
    const Shadow& shadow = shadow_[i];
    const char* finding = nullptr;
    const Stamp* other = &shadow.write;
    if (shadow.pending) {
      finding = "write of bytes that an asynchronous copy has yet to fill";
    } else if (Conflicts(actor, shadow.write)) {
      finding = "race: write after write";
    } else {
      for (const Stamp* read : {&shadow.read, &shadow.lane_read, &shadow.warp_read}) {
        if (!Conflicts(actor, *read)) continue;
        finding = "race: write after read";
        other = read;
        break;
      }
    }
    if (finding == nullptr) continue;
    Report(site, std::string(finding) + ": " + Where(offset, bytes) + " by " +
                     Thread(actor.thread) + " of block " + std::to_string(actor.block) +
                     ", before by " + Thread(other->thread));
    return;
  }
}

bool Region::Write(const Actor& actor, std::byte* to, const void* from, size_t bytes,
                   const Site& site) {
  if (!InBounds(to, bytes, "write", site)) return false;
  const size_t offset = to - data_;
  CheckWrite(actor, offset, bytes, site);
  const Stamp now = {actor.interval, actor.thread, actor.warp_epoch};
  for (size_t i = offset; i < offset + bytes; ++i) {
    shadow_[i].write = now;
    shadow_[i].written = true;
  }
  std::memcpy(to, from, bytes);
  return true;
}

bool Region::BeginCopy(const Actor& actor, std::byte* to, size_t bytes, const Site& site) {
  if (!InBounds(to, bytes, "copy", site)) return false;
  const size_t offset = to - data_;
  CheckWrite(actor, offset, bytes, site);
  std::fill(to, to + bytes, kPoison);
  for (size_t i = offset; i < offset + bytes; ++i) shadow_[i].pending = true;
  return true;
}

void Region::EndCopy(const Actor& actor, std::byte* to, const void* from, size_t bytes) {
  const size_t offset = to - data_;
  for (size_t i = offset; i < offset + bytes; ++i) {
    shadow_[i].pending = false;
    shadow_[i].written = true;
    shadow_[i].write = {actor.interval, actor.thread, actor.warp_epoch};
  }
  std::memcpy(to, from, bytes);
}

void Region::CheckGuards() const {
  const auto intact = [](const std::byte* from, const std::byte* to) {
    return std::all_of(from, to, [](std::byte b) { return b == kGuardByte; });
  };
  if (!intact(storage_.get(), data_) ||
      !intact(data_ + bytes_, storage_.get() + bytes_ + 3 * kGuard)) {
    Report(Site::current(), "guard bytes of " + name_ + " were overwritten");
  }
}

Region* FindRegion(const void* p) {
  auto next = regions.upper_bound(p);
  if (next == regions.begin()) return nullptr;
  Region* region = std::prev(next)->second;
  return region->Contains(p) ? region : nullptr;
}

void SetWritten(void* memory, size_t bytes) {
  Region* const region = FindRegion(memory);
  if (region == nullptr || bytes == 0) return;
  region->SetWritten(static_cast<size_t>(static_cast<std::byte*>(memory) - region->data()), bytes);
}

void Report(const Site& site, const std::string& what) {
  ++findings.count;
  if (findings.texts.size() >= kMaxTexts) return;
  findings.texts.push_back(std::string(site.file_name()) + ":" + std::to_string(site.line()) +
                           ": " + what);
}

Findings TakeFindings() { return std::exchange(findings, {}); }

}  // namespace navit::kernels::cuda::twin
