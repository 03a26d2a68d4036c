// Reading ahead from a source that is faster than whoever uses the bytes, and from sources that
// falter, as the packer's metrics show it.
#include "packer/range_reader.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/metrics.h"
#include "common/object_store/testing/scripted_server.h"
#include "gtest/gtest.h"
#include "packer/metrics.h"

namespace navit {
namespace {

using testing::ScriptedReply;
using testing::ScriptedRequest;
using testing::ScriptedServer;
using testing::ServeObject;

// As "SHARD:OFFSET+BYTES …".
std::string Coalesced(std::vector<ShardRange> wanted) {
  std::vector<std::string> texts;
  for (const ShardRange& range : CoalesceRanges(std::move(wanted), /*gap=*/10, /*max_bytes=*/100)) {
    texts.push_back(absl::StrCat(range.shard, ":", range.offset, "+", range.bytes));
  }
  return absl::StrJoin(texts, " ");
}

TEST(CoalesceRanges, NeighboursShareARequestUpToItsBounds) {
  EXPECT_EQ(Coalesced({}), "");
  EXPECT_EQ(Coalesced({{0, 5, 0}}), "") << "nothing to read";
  EXPECT_EQ(Coalesced({{0, 30, 10}, {0, 0, 20}}), "0:0+40");
  EXPECT_EQ(Coalesced({{0, 0, 20}, {0, 31, 10}}), "0:0+20 0:31+10");
  EXPECT_EQ(Coalesced({{1, 0, 20}, {0, 0, 20}}), "0:0+20 1:0+20");
  EXPECT_EQ(Coalesced({{0, 0, 60}, {0, 60, 60}}), "0:0+60 0:60+60");
  // Longer than a request may be: alone, or because ranges overlap.
  EXPECT_EQ(Coalesced({{0, 0, 500}}), "0:0+500");
  EXPECT_EQ(Coalesced({{0, 0, 90}, {0, 80, 90}}), "0:0+170");
}

// The packer's metrics, read at every change of what is held.
class Watched : public PackerMetrics {
 public:
  Watched() : PackerMetrics(1) {}

  void BytesHeld(uint64_t bytes) override {
    PackerMetrics::BytesHeld(bytes);
    most_ = std::max(most_, Value("navit_packer_read_ahead_bytes"));
  }
  // Calls come under the reader's lock.
  double most() const { return most_; }
  // Of a series as the exposition text names it; 0: it is not there.
  double Value(absl::string_view series) const {
    double value = 0;
    for (absl::string_view line : absl::StrSplit(MetricsText({registry()}), '\n')) {
      if (absl::ConsumePrefix(&line, absl::StrCat(series, " "))) {
        EXPECT_TRUE(absl::SimpleAtod(line, &value)) << line;
      }
    }
    return value;
  }

 private:
  double most_ = 0;
};

constexpr uint64_t kShardBytes = 1 << 18;

class RangeReaderTest : public ::testing::Test {
 protected:
  // Shard k of the server has kShardBytes bytes of value k.
  RangeReaderTest() : server_([this](const ScriptedRequest& request) { return Reply(request); }) {
    for (int k = 0; k < 4; ++k) {
      v1::ShardEntry* entry = entries_.Add();
      entry->set_path(absl::StrCat(server_.url(), "/", k));
      entry->set_bytes(kShardBytes);
    }
    options_.observer = &metrics_;
    store_options_.observer = &metrics_;
    store_options_.backoff.initial = absl::Milliseconds(1);
    store_options_.backoff.max = absl::Milliseconds(4);
  }
  ScriptedReply Reply(const ScriptedRequest& request) {
    if (requests_++ % 3 == 0 && slow_) {
      return {503, {}, "<Error><Code>SlowDown</Code></Error>"};
    }
    if (gone_) return {404, {}, ""};
    return ServeObject(request, std::string(object_bytes_, request.target.back()), "\"1\"");
  }
  // Starts a reader of `max_bytes`; batches must go before the next.
  RangeReader& Reader(uint64_t max_bytes) {
    options_.max_bytes = max_bytes;
    reader_ = std::make_unique<RangeReader>(MakeObjectStore(store_options_), options_);
    return *reader_;
  }
  absl::Status ReadOne(const ShardRange& range) {
    return Reader(1 << 20).Start(entries_, {range})->Wait();
  }

  std::atomic<int> requests_{0};
  std::atomic<bool> slow_{false};
  std::atomic<bool> gone_{false};
  std::atomic<uint64_t> object_bytes_{kShardBytes};
  Watched metrics_;
  ObjectStoreOptions store_options_;
  RangeReader::Options options_;
  RangeReader::Entries entries_;
  ScriptedServer server_;
  std::unique_ptr<RangeReader> reader_;
};

// The source gives whatever it is asked for; the consumer takes batches one after the other.
TEST_F(RangeReaderTest, AheadOfASlowConsumerIsBoundedInBytes) {
  constexpr uint64_t kBound = 256 << 10, kBatch = 20000;
  RangeReader& reader = Reader(kBound);
  std::deque<std::pair<ShardRange, std::shared_ptr<RangeReader::Batch>>> ahead;
  size_t longest = 0;
  uint32_t next = 0;
  for (int taken = 0; taken < 100; ++taken) {
    while (true) {
      const ShardRange range = {next % 4, next * kBatch % (kShardBytes - kBatch), kBatch};
      std::shared_ptr<RangeReader::Batch> batch = reader.StartAhead(entries_, {range});
      if (batch == nullptr) break;
      ahead.emplace_back(range, std::move(batch));
      ++next;
    }
    longest = std::max(longest, ahead.size());
    const auto& [range, batch] = ahead.front();
    ASSERT_TRUE(batch->Wait().ok());
    EXPECT_EQ(batch->Bytes(range.shard, range.offset, range.bytes),
              std::string(kBatch, static_cast<char>('0' + range.shard)));
    ahead.pop_front();
  }
  EXPECT_EQ(longest, kBound / 2 / kBatch) << "half of the bound is for what is ahead";
  EXPECT_LE(metrics_.most(), kBound / 2);
  ahead.clear();
  reader_.reset();  // ends the reads that nobody waits for
  EXPECT_EQ(metrics_.Value("navit_packer_read_ahead_bytes"), 0);
}

// Threads that make packs wait for room, and get it.
TEST_F(RangeReaderTest, BatchesInUseAreBoundedToo) {
  constexpr uint64_t kBound = 256 << 10, kBatch = 50000;
  RangeReader& reader = Reader(kBound);
  std::vector<std::thread> makers;
  for (uint32_t maker = 0; maker < 8; ++maker) {
    makers.emplace_back([&, maker] {
      for (uint64_t i = 0; i < 20; ++i) {
        const ShardRange range = {maker % 4, i % 5 * kBatch, kBatch};
        const auto batch = reader.Start(entries_, {range});
        EXPECT_TRUE(batch->Wait().ok());
      }
    });
  }
  for (std::thread& maker : makers) maker.join();
  EXPECT_LE(metrics_.most(), kBound / 2);
  EXPECT_GE(metrics_.most(), 2 * kBatch) << "several at a time";
}

TEST_F(RangeReaderTest, ABatchThatIsAloneMayBeLarger) {
  RangeReader& reader = Reader(1000);
  EXPECT_TRUE(reader.Start(entries_, {{0, 0, 5000}})->Wait().ok());
  const auto first = reader.StartAhead(entries_, {{1, 0, 5000}});
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(reader.StartAhead(entries_, {{2, 0, 1}}), nullptr);
  EXPECT_TRUE(first->Wait().ok());
}

TEST_F(RangeReaderTest, SlowDownsAreRepeatedAndCounted) {
  slow_ = true;
  RangeReader& reader = Reader(1 << 20);
  for (uint64_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(reader.Start(entries_, {{0, i * 1000, 1000}})->Wait().ok());
  }
  EXPECT_EQ(metrics_.Value("navit_source_retries_total{reason=\"slow_down\"}"),
            metrics_.Value("navit_source_requests_total{code=\"503\",scheme=\"http\"}"));
  EXPECT_GE(metrics_.Value("navit_source_retries_total{reason=\"slow_down\"}"), 5);
}

TEST_F(RangeReaderTest, ASourceThatStaysSlowIsNamedWhenTheRetriesEnd) {
  store_options_.retry_deadline = absl::Milliseconds(50);
  ScriptedServer busy([](const auto&) {
    return ScriptedReply{503, {}, "<Error><Code>SlowDown</Code></Error>"};
  });
  entries_[0].set_path(busy.url() + "/x.tar");
  const absl::Status status = ReadOne({0, 0, 10});
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "/x.tar: HTTP 503 SlowDown")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "attempts in")) << status;
}

// FAULTS, row 17.
TEST_F(RangeReaderTest, AShardThatChangesOrVanishesIsNamed) {
  object_bytes_ = kShardBytes - 1;
  const absl::Status changed = ReadOne({1, 0, 10});
  EXPECT_TRUE(absl::IsFailedPrecondition(changed)) << changed;
  EXPECT_TRUE(absl::StrContains(changed.message(), "/1: shard changed under the job")) << changed;
  object_bytes_ = 100;
  const absl::Status cut = ReadOne({1, 5000, 10});
  EXPECT_TRUE(absl::IsFailedPrecondition(cut)) << cut;
  EXPECT_TRUE(absl::StrContains(cut.message(), "ends before byte 5000")) << cut;
  gone_ = true;
  const absl::Status vanished = ReadOne({2, 0, 10});
  EXPECT_TRUE(absl::IsUnavailable(vanished)) << vanished;
  EXPECT_TRUE(absl::StrContains(vanished.message(), "vanished under the job")) << vanished;
  EXPECT_TRUE(absl::StrContains(vanished.message(), "/2")) << vanished;
}

}  // namespace
}  // namespace navit
