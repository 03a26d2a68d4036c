// Reads the ranges of objects that packs need: neighbours in one request, several requests in
// flight, ahead of use, and never more bytes held than allowed.
//
// Ranges of local files are read by the thread that waits for them (the page cache reads ahead);
// those of URLs by threads of their own.
#ifndef NAVIT_PACKER_RANGE_READER_H_
#define NAVIT_PACKER_RANGE_READER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/object_store/object_store.h"
#include "proto/data.pb.h"

namespace navit {

struct ShardRange {
  // Number of the shard, as the caller counts them.
  uint32_t shard = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Requests that cover `wanted`: sorted, disjoint, at most `max_bytes` each unless one range alone
// is longer; ranges of a shard less than `gap` apart share one. Ranges of 0 bytes need none.
std::vector<ShardRange> CoalesceRanges(std::vector<ShardRange> wanted, uint64_t gap,
                                       uint64_t max_bytes);

// For metrics; called on any thread.
class RangeReaderObserver {
 public:
  virtual ~RangeReaderObserver() = default;
  // Bytes held by all batches, after a change.
  virtual void BytesHeld(uint64_t bytes) = 0;
  // A thread waited for a request over a network.
  virtual void BlockedSource(double seconds) = 0;
};

// Thread-safe.
class RangeReader {
 public:
  struct Options {
    // Bytes held by all batches together. Half of it is for batches ahead of use, half for those in
    // use; in each half a batch that is alone may be larger.
    uint64_t max_bytes = uint64_t{512} << 20;
    // Requests in flight.
    int connections = 16;
    // nullptr: none. Outlives the reader.
    RangeReaderObserver* observer = nullptr;
  };

  // What one pack reads. Holds its bytes until it goes.
  class Batch {
   public:
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    // Waits until all is read. FailedPrecondition names the shard: "changed under the job" (its
    // size or its length). Unavailable: it cannot be opened or read; worth a retry, with a new
    // batch. Other codes: ObjectStore.
    absl::Status Wait();
    // Requires Wait() ok, and a range that the batch was started with.
    absl::string_view Bytes(uint32_t shard, uint64_t offset, uint64_t bytes) const;

   private:
    friend class RangeReader;
    struct Part {
      ShardRange range;
      std::string name;
      uint64_t object_bytes = 0;
      std::string bytes;
    };
    Batch(RangeReader* reader, bool ahead) : reader_(reader), ahead_(ahead) {}

    RangeReader* const reader_;
    const bool ahead_;
    uint64_t total_bytes_ = 0;
    // Sorted; each is written by one thread while `unread_` counts it.
    std::vector<Part> parts_;
    // Guarded by reader_->mutex_.
    size_t unread_ = 0;
    // Local parts, read by Wait.
    std::vector<size_t> local_;
    absl::Status status_;
  };

  RangeReader(std::shared_ptr<ObjectStore> store, Options options);
  // Every batch must be gone.
  ~RangeReader();

  using Entries = google::protobuf::RepeatedPtrField<v1::ShardEntry>;
  // Begins to read `ranges` of `shards`. Waits for room while batches in use take their half.
  std::shared_ptr<Batch> Start(const Entries& shards, std::vector<ShardRange> ranges);
  // The same ahead of use; nullptr: there is no room, or nothing that is worth it (local files).
  std::shared_ptr<Batch> StartAhead(const Entries& shards, std::vector<ShardRange> ranges);

 private:
  struct Task {
    std::weak_ptr<Batch> batch;
    size_t part;
  };

  std::shared_ptr<Batch> Make(const Entries& shards, std::vector<ShardRange> ranges, bool ahead);
  void Hold(bool ahead, int64_t more) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(const std::shared_ptr<Batch>& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ReadPart(Batch::Part* part) const;
  void Loop();

  const std::shared_ptr<ObjectStore> store_;
  const Options options_;
  mutable absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  // By `ahead`.
  uint64_t held_[2] ABSL_GUARDED_BY(mutex_) = {0, 0};
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_PACKER_RANGE_READER_H_
