#include "packer/agent/pack_queue.h"

#include <algorithm>
#include <utility>

namespace navit {

PackQueue::Entries::iterator PackQueue::Find(uint64_t ticket) {
  return std::find_if(entries_.begin(), entries_.end(),
                      [&](const Entry& entry) { return entry.ticket == ticket; });
}

PackQueue::Entries::iterator PackQueue::FirstWaiting() {
  return std::find_if(entries_.begin(), entries_.end(),
                      [](const Entry& entry) { return entry.state == State::kWaiting; });
}

void PackQueue::Erase(Entries::iterator entry) {
  SetMadeBytes(made_bytes_ - entry->bytes);
  entries_.erase(entry);
}

bool PackQueue::HasRoom(Entries::iterator entry) {
  // The first pack always has room: everything behind it waits for it.
  return entry == entries_.begin() || made_bytes_ + (making_ + 1) * largest_bytes_ <= max_bytes_;
}

void PackQueue::SetMadeBytes(uint64_t bytes) {
  if (bytes == made_bytes_) return;
  made_bytes_ = bytes;
  if (on_made_bytes_) on_made_bytes_(bytes);
}

uint64_t PackQueue::OpenStream() {
  absl::MutexLock lock(&mutex_);
  entries_.clear();
  SetMadeBytes(0);
  stream_open_ = true;
  changed_.SignalAll();
  return ++stream_;
}

void PackQueue::EndStream(uint64_t stream) {
  absl::MutexLock lock(&mutex_);
  if (stream != stream_ || !stream_open_) return;
  entries_.clear();
  SetMadeBytes(0);
  stream_open_ = false;
  changed_.SignalAll();
}

void PackQueue::Grant(uint64_t stream, uint64_t lease_epoch, absl::Span<const uint32_t> indexes,
                      bool direct) {
  absl::MutexLock lock(&mutex_);
  if (stream != stream_ || !stream_open_ || draining_) return;
  for (uint32_t index : indexes) {
    const bool known = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return entry.lease_epoch == lease_epoch && entry.index == index;
    });
    if (known) continue;
    entries_.push_back({next_ticket_++, lease_epoch, index, direct, State::kWaiting, 0, {}});
  }
  changed_.SignalAll();
}

void PackQueue::DropLease(uint64_t lease_epoch) {
  absl::MutexLock lock(&mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    auto next = std::next(it);
    if (it->lease_epoch == lease_epoch) Erase(it);
    it = next;
  }
  changed_.SignalAll();
}

std::vector<PackQueue::Waiting> PackQueue::NextToMake(size_t most) const {
  std::vector<Waiting> next;
  absl::MutexLock lock(&mutex_);
  for (const Entry& entry : entries_) {
    if (next.size() == most) break;
    if (entry.state == State::kWaiting) next.push_back({entry.lease_epoch, entry.index});
  }
  return next;
}

std::optional<PackQueue::Task> PackQueue::TakeToMake() {
  absl::MutexLock lock(&mutex_);
  std::optional<absl::Duration> blocked_since;
  while (!closed_) {
    auto entry = FirstWaiting();
    if (entry != entries_.end()) {
      if (HasRoom(entry)) {
        entry->state = State::kMaking;
        ++making_;
        return Task{entry->ticket, entry->lease_epoch, entry->index,
                    blocked_since ? clock_->SteadyNow() - *blocked_since : absl::ZeroDuration()};
      }
      if (!blocked_since) blocked_since = clock_->SteadyNow();
    }
    changed_.Wait(&mutex_);
  }
  return std::nullopt;
}

void PackQueue::Made(uint64_t ticket, v1::Frame frame) {
  absl::MutexLock lock(&mutex_);
  --making_;
  const uint64_t bytes = frame.payload().size();
  largest_bytes_ = std::max(largest_bytes_, bytes);
  auto entry = Find(ticket);
  if (entry != entries_.end()) {
    entry->state = State::kMade;
    entry->bytes = bytes;
    entry->frame = std::move(frame);
    SetMadeBytes(made_bytes_ + bytes);
  }
  changed_.SignalAll();
}

void PackQueue::Abandon(uint64_t ticket) {
  absl::MutexLock lock(&mutex_);
  --making_;
  auto entry = Find(ticket);
  if (entry != entries_.end()) Erase(entry);
  changed_.SignalAll();
}

std::vector<PackQueue::Sendable> PackQueue::TakeToSend(uint64_t stream, uint64_t most_bytes) {
  std::vector<Sendable> packs;
  absl::MutexLock lock(&mutex_);
  while (!closed_ && stream == stream_ && stream_open_) {
    uint64_t bytes = 0;
    for (Entry& entry : entries_) {
      bytes += entry.bytes;
      if (entry.state != State::kMade || (!packs.empty() && bytes > most_bytes)) break;
      entry.state = State::kSending;
      packs.push_back({entry.ticket, entry.direct, std::move(entry.frame)});
    }
    if (!packs.empty()) break;
    changed_.Wait(&mutex_);
  }
  return packs;
}

void PackQueue::Sent(absl::Span<const Sendable> packs) {
  absl::MutexLock lock(&mutex_);
  for (const Sendable& pack : packs) {
    auto entry = Find(pack.ticket);
    if (entry != entries_.end()) Erase(entry);
  }
  changed_.SignalAll();
}

void PackQueue::Drain() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
}

bool PackQueue::empty() const {
  absl::MutexLock lock(&mutex_);
  return entries_.empty();
}

void PackQueue::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  changed_.SignalAll();
}

}  // namespace navit
