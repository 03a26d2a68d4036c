// What every EventStore promises (server/core/event_store.h), on each of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "common/grpc_channel.h"
#include "server/store/etcd_process.h"
#include "server/store/etcd_store.h"
#include "server/store/sqlite_store.h"
#include "server/store/test_events.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

// Where stores of one kind live; Open opens the same one each time, after the last was closed.
class Place {
 public:
  virtual ~Place() = default;
  virtual absl::StatusOr<std::unique_ptr<EventStore>> Open() = 0;
};

class SqlitePlace : public Place {
 public:
  explicit SqlitePlace(const std::string& folder) : path_(folder + "/state.db") {}
  absl::StatusOr<std::unique_ptr<EventStore>> Open() override { return SqliteStore::Open(path_); }

 private:
  const std::string path_;
};

class EtcdPlace : public Place {
 public:
  explicit EtcdPlace(const std::string& folder) {
    // One etcd for all tests, a prefix for each.
    static EtcdProcess* const etcd = EtcdProcess::Start(folder + "-etcd")->release();
    ChannelOptions options;
    options.max_message_bytes = EtcdStore::kMaxMessageBytes;
    channel_ = *MakeChannel(etcd->address(), options);
    options_.prefix = folder;
  }
  absl::StatusOr<std::unique_ptr<EventStore>> Open() override {
    leadership_.reset();
    StopFlag stop;
    auto leadership = EtcdLeadership::Campaign(channel_, {options_.prefix + "/leader", "test"},
                                               &stop, [](const EtcdLeadership::Obstacle&) {});
    if (!leadership.ok()) return leadership.status();
    leadership_ = *std::move(leadership);
    return EtcdStore::Open(channel_, options_, leadership_->key());
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  EtcdStoreOptions options_;
  std::unique_ptr<EtcdLeadership> leadership_;
};

class StoreContractTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const bool etcd = std::string(GetParam()) == "etcd";
    if (etcd && !EtcdProcess::Installed()) GTEST_SKIP() << "etcd-server is not installed";
    std::string pattern = ::testing::TempDir() + "/contract-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    if (etcd) {
      place_ = std::make_unique<EtcdPlace>(folder_);
    } else {
      place_ = std::make_unique<SqlitePlace>(folder_);
    }
    Reopen();
  }
  void TearDown() override {
    store_.reset();
    place_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  void Reopen() {
    store_.reset();
    auto store = place_->Open();
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    ASSERT_TRUE(StoredEvents(store_.get()).ok());
  }
  // What a new process reads.
  std::vector<std::string> Events() {
    Reopen();
    return *StoredEvents(store_.get());
  }
  void Append(const std::vector<v1::Event>& events) {
    const absl::Status status = store_->Append(events);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::string folder_;
  std::unique_ptr<Place> place_;
  std::unique_ptr<EventStore> store_;
};

TEST_P(StoreContractTest, NewStoreIsEmpty) { EXPECT_TRUE(Events().empty()); }

TEST_P(StoreContractTest, EventsComeBackInOrder) {
  v1::Event started;
  started.mutable_coordinator_started()->set_incarnation(1);
  const std::vector<v1::Event> events = {started, StateEvent("b", "1"), ManifestEvent("a", "h1"),
                                         StateEvent("b", "2"), ManifestEvent("b", "h1")};
  Append({events.begin(), events.begin() + 3});
  Append({events.begin() + 3, events.end()});
  Append({});
  EXPECT_EQ(Events(), Strings(events));
}

TEST_P(StoreContractTest, ErrorOfApplyEndsLoad) {
  Append({StateEvent("a", "1"), StateEvent("a", "2")});
  store_.reset();
  store_ = *place_->Open();
  int calls = 0;
  const absl::Status status = store_->Load([&](const v1::Event&) {
    ++calls;
    return absl::DataLossError("does not fit");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(calls, 1);
}

TEST_P(StoreContractTest, DeletedJobLeavesOnlyItsEnd) {
  Append({StateEvent("a", "1"), ManifestEvent("a", "h1"), ManifestEvent("b", "h2")});
  Append({Deleted("a")});
  Append({StateEvent("a", "again")});
  EXPECT_EQ(Events(), Strings({ManifestEvent("b", "h2"), Deleted("a"), StateEvent("a", "again")}));
}

TEST_P(StoreContractTest, JobDeletedAndSubmittedAgainInOneAppend) {
  Append({StateEvent("a", "1"), StateEvent("a", "2")});
  Append({StateEvent("a", "3"), ManifestEvent("a", "h"), Deleted("a"), ManifestEvent("a", "h"),
          StateEvent("a", "again")});
  const std::vector<v1::Event> kept = {Deleted("a"), ManifestEvent("a", "h"),
                                       StateEvent("a", "again")};
  EXPECT_EQ(Events(), Strings(kept));
  Append({Deleted("a")});
  EXPECT_EQ(Events(), Strings({Deleted("a")}));
}

TEST_P(StoreContractTest, SharedManifestStaysUntilItsLastJobGoes) {
  Append({ManifestEvent("a", "h"), ManifestEvent("b", "h")});
  Append({Deleted("a")});
  EXPECT_EQ(Events(), Strings({ManifestEvent("b", "h"), Deleted("a")}));
  Append({Deleted("b"), ManifestEvent("c", "h")});
  EXPECT_EQ(Events(), Strings({Deleted("a"), Deleted("b"), ManifestEvent("c", "h")}));
}

TEST_P(StoreContractTest, ManifestOfManyShards) {
  // 3 MiB, and one whose size is a multiple of what a store may cut it to.
  v1::Event large = ManifestEvent("a", "large");
  v1::DataManifest* manifest = large.mutable_manifest_frozen()->mutable_manifest();
  while (manifest->ByteSizeLong() < (size_t{3} << 20)) {
    manifest->add_train()->set_path(std::string(1000, 'p'));
  }
  v1::Event even = ManifestEvent("a", "even");
  std::string* path =
      even.mutable_manifest_frozen()->mutable_manifest()->mutable_train(0)->mutable_path();
  path->assign(size_t{1} << 19, 'p');
  path->resize(path->size() - (even.manifest_frozen().manifest().ByteSizeLong() - path->size()));
  ASSERT_EQ(even.manifest_frozen().manifest().ByteSizeLong(), size_t{1} << 19);
  Append({large, even});
  EXPECT_EQ(Events(), Strings({large, even}));
}

TEST_P(StoreContractTest, EventsThatAreTooLargeAreStoredAtOnceOrRefused) {
  Append({StateEvent("a", "1")});
  for (const auto& events : {std::vector<v1::Event>{StateEvent("a", std::string(2 << 20, 'r'))},
                             std::vector<v1::Event>(200, StateEvent("a", "many"))}) {
    const std::vector<std::string> before = Events();
    const absl::Status status = store_->Append(events);
    std::vector<std::string> expected = before;
    if (status.ok()) {
      for (const std::string& text : Strings(events)) expected.push_back(text);
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr("nothing was stored"));
    }
    // Such a refusal is not a failed write: the store goes on.
    Append({StateEvent("a", "after")});
    expected.push_back(StateEvent("a", "after").DebugString());
    EXPECT_EQ(Events(), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContractTest, ::testing::Values("sqlite", "etcd"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace navit
