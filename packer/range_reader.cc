#include "packer/range_reader.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/object_store/url.h"

namespace navit {
namespace {

// Members of a sample have a header between them; more is worth reading over a network than of a
// file, where a request costs next to nothing.
constexpr uint64_t kLocalGap = 4 << 10;
constexpr uint64_t kRemoteGap = 256 << 10;
constexpr uint64_t kMaxRequestBytes = 8 << 20;

absl::Status Changed(absl::string_view name, absl::string_view how) {
  return absl::FailedPreconditionError(absl::StrCat(name, ": shard changed under the job: ", how));
}

}  // namespace

std::vector<ShardRange> CoalesceRanges(std::vector<ShardRange> wanted, uint64_t gap,
                                       uint64_t max_bytes) {
  std::sort(wanted.begin(), wanted.end(), [](const ShardRange& a, const ShardRange& b) {
    return std::tie(a.shard, a.offset) < std::tie(b.shard, b.offset);
  });
  std::vector<ShardRange> requests;
  for (const ShardRange& range : wanted) {
    if (range.bytes == 0) continue;
    if (!requests.empty() && requests.back().shard == range.shard) {
      ShardRange& last = requests.back();
      const uint64_t last_end = last.offset + last.bytes;
      const uint64_t end = std::max(last_end, range.offset + range.bytes);
      const bool overlaps = range.offset < last_end;
      if (overlaps || (range.offset - last_end <= gap && end - last.offset <= max_bytes)) {
        last.bytes = end - last.offset;
        continue;
      }
    }
    requests.push_back(range);
  }
  return requests;
}

RangeReader::Batch::~Batch() {
  absl::MutexLock lock(&reader_->mutex_);
  reader_->Hold(ahead_, -static_cast<int64_t>(total_bytes_));
}

absl::Status RangeReader::Batch::Wait() {
  for (const size_t i : local_) {
    absl::Status status = reader_->ReadPart(&parts_[i]);
    if (!status.ok()) return status;
  }
  local_.clear();
  absl::MutexLock lock(&reader_->mutex_);
  if (unread_ > 0) {
    const auto begin = std::chrono::steady_clock::now();
    const auto read = [this] { return unread_ == 0; };
    reader_->mutex_.Await(absl::Condition(&read));
    if (reader_->options_.observer != nullptr) {
      reader_->options_.observer->BlockedSource(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
  }
  return status_;
}

absl::string_view RangeReader::Batch::Bytes(uint32_t shard, uint64_t offset, uint64_t bytes) const {
  if (bytes == 0) return {};
  const auto after =
      std::upper_bound(parts_.begin(), parts_.end(), std::tie(shard, offset),
                       [](const auto& place, const Part& part) {
                         return place < std::tie(part.range.shard, part.range.offset);
                       });
  const Part& part = *(after - 1);
  return absl::string_view(part.bytes).substr(offset - part.range.offset, bytes);
}

RangeReader::RangeReader(std::shared_ptr<ObjectStore> store, Options options)
    : store_(std::move(store)), options_(options) {}

RangeReader::~RangeReader() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

std::shared_ptr<RangeReader::Batch> RangeReader::Make(const Entries& shards,
                                                      std::vector<ShardRange> ranges, bool ahead) {
  std::vector<ShardRange> local;
  std::vector<ShardRange> remote;
  for (const ShardRange& range : ranges) {
    (IsUrl(shards[static_cast<int>(range.shard)].path()) ? remote : local).push_back(range);
  }
  // A destructor that gives back what was never taken must not run: total_bytes_ is 0 until then.
  std::shared_ptr<Batch> batch(new Batch(this, ahead));
  for (const bool url : {false, true}) {
    for (const ShardRange& request : CoalesceRanges(
             std::move(url ? remote : local), url ? kRemoteGap : kLocalGap, kMaxRequestBytes)) {
      const v1::ShardEntry& entry = shards[static_cast<int>(request.shard)];
      batch->parts_.push_back({request, entry.path(), entry.bytes(), {}});
    }
  }
  std::sort(
      batch->parts_.begin(), batch->parts_.end(), [](const Batch::Part& a, const Batch::Part& b) {
        return std::tie(a.range.shard, a.range.offset) < std::tie(b.range.shard, b.range.offset);
      });
  for (size_t i = 0; i < batch->parts_.size(); ++i) {
    if (!IsUrl(batch->parts_[i].name)) batch->local_.push_back(i);
  }
  return batch;
}

void RangeReader::Hold(bool ahead, int64_t more) {
  if (more == 0) return;
  held_[ahead] += static_cast<uint64_t>(more);
  if (options_.observer != nullptr) options_.observer->BytesHeld(held_[0] + held_[1]);
}

void RangeReader::Enqueue(const std::shared_ptr<Batch>& batch) {
  for (const Batch::Part& part : batch->parts_) batch->total_bytes_ += part.range.bytes;
  Hold(batch->ahead_, static_cast<int64_t>(batch->total_bytes_));
  for (size_t i = 0; i < batch->parts_.size(); ++i) {
    if (!IsUrl(batch->parts_[i].name)) continue;
    ++batch->unread_;
    tasks_.push_back({batch, i});
  }
  while (threads_.size() < std::min<size_t>(tasks_.size(), options_.connections)) {
    threads_.emplace_back([this] { Loop(); });
  }
}

std::shared_ptr<RangeReader::Batch> RangeReader::Start(const Entries& shards,
                                                       std::vector<ShardRange> ranges) {
  std::shared_ptr<Batch> batch = Make(shards, std::move(ranges), false);
  uint64_t bytes = 0;
  for (const Batch::Part& part : batch->parts_) bytes += part.range.bytes;
  absl::MutexLock lock(&mutex_);
  // Batches in use go when their packs are made, which waits for nothing but the source.
  const auto room = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return held_[0] == 0 || held_[0] + bytes <= options_.max_bytes / 2;
  };
  mutex_.Await(absl::Condition(&room));
  Enqueue(batch);
  return batch;
}

std::shared_ptr<RangeReader::Batch> RangeReader::StartAhead(const Entries& shards,
                                                            std::vector<ShardRange> ranges) {
  std::shared_ptr<Batch> batch = Make(shards, std::move(ranges), true);
  // In mixed batches local parts are few or cheap: they are read when the pack is made.
  if (batch->local_.size() == batch->parts_.size()) return nullptr;
  uint64_t bytes = 0;
  for (const Batch::Part& part : batch->parts_) bytes += part.range.bytes;
  absl::ReleasableMutexLock lock(&mutex_);
  if (held_[1] > 0 && held_[1] + bytes > options_.max_bytes / 2) {
    lock.Release();
    return nullptr;
  }
  Enqueue(batch);
  return batch;
}

absl::Status RangeReader::ReadPart(Batch::Part* part) const {
  const ShardRange& range = part->range;
  const absl::StatusOr<ObjectInfo> info =
      store_->Read(part->name, range.offset, range.bytes, "", &part->bytes);
  // Not there: perhaps a mount that is not there yet.
  if (absl::IsNotFound(info.status())) {
    return absl::UnavailableError(
        absl::StrCat("shard vanished under the job, or is not reached: ", info.status().message()));
  }
  if (absl::IsOutOfRange(info.status())) {
    return Changed(part->name, absl::StrCat("it ends before byte ", range.offset));
  }
  if (!info.ok()) return info.status();
  if (info->bytes != part->object_bytes) {
    return Changed(part->name, absl::StrCat("it has ", info->bytes, " bytes, was frozen with ",
                                            part->object_bytes));
  }
  return absl::OkStatus();
}

void RangeReader::Loop() {
  while (true) {
    std::shared_ptr<Batch> batch;
    size_t part = 0;
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return ending_ || !tasks_.empty();
      };
      mutex_.Await(absl::Condition(&ready));
      if (ending_) return;
      batch = tasks_.front().batch.lock();
      part = tasks_.front().part;
      tasks_.pop_front();
    }
    // Nobody waits for it any more.
    if (batch == nullptr) continue;
    absl::Status status = ReadPart(&batch->parts_[part]);
    {
      absl::MutexLock lock(&mutex_);
      --batch->unread_;
      batch->status_.Update(status);
    }
    // Here, outside the lock: the last owner gives back the bytes.
    batch.reset();
  }
}

}  // namespace navit
