// What is particular to etcd: leadership, fencing, lost answers, damage.
#include "server/store/etcd_store.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/grpc_channel.h"
#include "server/store/etcd_address.h"
#include "server/store/etcd_client.h"
#include "server/store/etcd_process.h"
#include "server/store/test_events.h"
#include "third_party/etcd/rpc.grpc.pb.h"

namespace navit {
namespace {

using ::testing::HasSubstr;
namespace etcd = ::etcdserverpb;

class EtcdStoreTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!EtcdProcess::Installed()) return;
    std::string pattern = ::testing::TempDir() + "/etcd-XXXXXX";
    etcd_ = EtcdProcess::Start(mkdtemp(pattern.data()))->release();
  }
  static void TearDownTestSuite() {
    delete etcd_;
    etcd_ = nullptr;
  }
  void SetUp() override {
    if (etcd_ == nullptr) GTEST_SKIP() << "etcd-server is not installed";
    ChannelOptions options;
    options.max_message_bytes = EtcdStore::kMaxMessageBytes;
    channel_ = *MakeChannel(etcd_->address(), options);
    client_ = std::make_unique<EtcdClient>(channel_, absl::Seconds(10));
    store_options_.prefix =
        absl::StrCat("/", ::testing::UnitTest::GetInstance()->current_test_info()->name());
    store_options_.on_deposed = [this] { ++deposed_; };
    leadership_options_.key = store_options_.prefix + "/leader";
    leadership_options_.ttl = absl::Seconds(2);
  }

  std::unique_ptr<EtcdLeadership> Lead(const std::string& holder) {
    leadership_options_.holder = holder;
    return *EtcdLeadership::Campaign(channel_, leadership_options_, &stop_,
                                     [](const EtcdLeadership::Obstacle&) {});
  }
  absl::StatusOr<std::unique_ptr<EtcdStore>> Open(const EtcdLeadership& leadership) {
    return EtcdStore::Open(channel_, store_options_, leadership.key());
  }
  // As a leader that was stopped past its lease: its key goes, it does not know.
  void DeleteKey(const std::string& key) {
    etcd::TxnRequest txn;
    txn.add_success()->mutable_request_delete_range()->set_key(key);
    ASSERT_TRUE(client_->Txn(txn).ok());
  }
  void PutKey(const std::string& key, const std::string& value) {
    etcd::TxnRequest txn;
    etcd::PutRequest* put = txn.add_success()->mutable_request_put();
    put->set_key(key);
    put->set_value(value);
    ASSERT_TRUE(client_->Txn(txn).ok());
  }
  // The first key below `name` of this test's prefix.
  std::string FirstKey(const std::string& name) {
    std::string first;
    EXPECT_TRUE(client_
                    ->ForEach(absl::StrCat(store_options_.prefix, "/", name),
                              [&](const std::string& key, const std::string&) {
                                if (first.empty()) first = key;
                                return absl::OkStatus();
                              })
                    .ok());
    return first;
  }

  static EtcdProcess* etcd_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<EtcdClient> client_;
  EtcdStoreOptions store_options_;
  LeadershipOptions leadership_options_;
  StopFlag stop_;
  int deposed_ = 0;
};

EtcdProcess* EtcdStoreTest::etcd_ = nullptr;

TEST_F(EtcdStoreTest, DeposedLeaderWritesNothing) {
  const auto old_leadership = Lead("old:7440");
  const auto old_store = *Open(*old_leadership);
  ASSERT_TRUE(StoredEvents(old_store.get()).ok());
  ASSERT_TRUE(old_store->Append({StateEvent("a", "1")}).ok());

  DeleteKey(leadership_options_.key);
  const absl::Status nobody = (*Open(*old_leadership))->Append({StateEvent("a", "2")});
  EXPECT_THAT(std::string(nobody.message()), HasSubstr("nobody does yet"));

  const auto new_leadership = Lead("new:7440");
  EXPECT_GT(new_leadership->key().create_revision, old_leadership->key().create_revision);
  const auto new_store = *Open(*new_leadership);
  ASSERT_EQ(StoredEvents(new_store.get())->size(), 1u);

  // The event, and a manifest's pieces, which go before it.
  for (const v1::Event& event : {StateEvent("a", "2"), ManifestEvent("a", "h")}) {
    const auto store = *Open(*old_leadership);
    ASSERT_TRUE(StoredEvents(store.get()).ok());
    const absl::Status status = store->Append({event});
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("this coordinator leads no more, new:7440 does"));
    EXPECT_THAT(std::string(store->Append({event}).message()), HasSubstr("no further write"));
  }
  EXPECT_EQ(deposed_, 3);
  EXPECT_EQ(FirstKey("manifests/"), "");
  ASSERT_TRUE(new_store->Append({StateEvent("a", "3")}).ok());
  EXPECT_EQ(*StoredEvents((*Open(*new_leadership)).get()),
            Strings({StateEvent("a", "1"), StateEvent("a", "3")}));
}

TEST_F(EtcdStoreTest, StandbyLeadsOnceTheLeaderResignsOrFallsSilent) {
  auto first = Lead("first");
  first->Watch([](const absl::Status&) {});
  std::vector<std::string> obstacles;
  absl::Notification waiting;
  std::unique_ptr<EtcdLeadership> second;
  LeadershipOptions options = leadership_options_;
  options.holder = "second";
  std::thread standby([&] {
    second = *EtcdLeadership::Campaign(channel_, options, &stop_,
                                       [&](const EtcdLeadership::Obstacle& obstacle) {
                                         obstacles.push_back(obstacle.leader);
                                         if (!waiting.HasBeenNotified()) waiting.Notify();
                                       });
  });
  waiting.WaitForNotification();
  first.reset();
  standby.join();
  EXPECT_THAT(obstacles, ::testing::ElementsAre("first"));
  // `second` is not watched: nobody renews its lease, which ends by itself.
  EXPECT_GT(Lead("third")->key().create_revision, second->key().create_revision);
}

TEST_F(EtcdStoreTest, LeaderIsToldThatItsLeaseHasEnded) {
  const auto leadership = Lead("one");
  absl::Notification lost;
  std::string why;
  leadership->Watch([&](const absl::Status& status) {
    why = std::string(status.message());
    lost.Notify();
  });
  etcd::LeaseLeasesResponse leases;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(etcd::Lease::NewStub(channel_)->LeaseLeases(&context, {}, &leases).ok());
  }
  for (const auto& lease : leases.leases()) {
    grpc::ClientContext context;
    etcd::LeaseRevokeRequest request;
    etcd::LeaseRevokeResponse reply;
    request.set_id(lease.id());
    EXPECT_TRUE(etcd::Lease::NewStub(channel_)->LeaseRevoke(&context, request, &reply).ok());
  }
  lost.WaitForNotification();
  EXPECT_THAT(why, HasSubstr("etcd has ended the lease"));
}

TEST_F(EtcdStoreTest, CampaignEndsWhenTold) {
  const auto leadership = Lead("one");
  std::thread stopper([this] { stop_.Stop(); });
  const auto second = EtcdLeadership::Campaign(channel_, leadership_options_, &stop_,
                                               [](const EtcdLeadership::Obstacle&) {});
  stopper.join();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kCancelled);
}

TEST_F(EtcdStoreTest, WritesWaitForAnEtcdThatRestarts) {
  const auto leadership = Lead("one");
  const auto store = *Open(*leadership);
  ASSERT_TRUE(StoredEvents(store.get()).ok());
  etcd_->Kill();
  absl::Status status;
  std::thread writer([&] { status = store->Append({StateEvent("a", "1")}); });
  EXPECT_TRUE(etcd_->Restart().ok());
  writer.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(StoredEvents((*Open(*leadership)).get())->size(), 1u);
}

TEST_F(EtcdStoreTest, NothingIsWrittenAfterEtcdWasAwayForTooLong) {
  store_options_.timeout = absl::Milliseconds(300);
  const auto leadership = Lead("one");
  const auto store = *Open(*leadership);
  ASSERT_TRUE(StoredEvents(store.get()).ok());
  etcd_->Kill();
  EXPECT_EQ(store->Append({StateEvent("a", "1")}).code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(etcd_->Restart().ok());
  EXPECT_EQ(store->Append({StateEvent("a", "2")}).code(), absl::StatusCode::kFailedPrecondition);
}

// An etcd whose answers get lost: forwards transactions to the real one, and every first answer to
// the same bytes is UNAVAILABLE.
class ForgetfulEtcd : public etcd::KV::Service {
 public:
  explicit ForgetfulEtcd(std::shared_ptr<grpc::Channel> to) : kv_(etcd::KV::NewStub(to)) {}
  grpc::Status Txn(grpc::ServerContext*, const etcd::TxnRequest* request,
                   etcd::TxnResponse* reply) override {
    grpc::ClientContext context;
    const grpc::Status status = kv_->Txn(&context, *request, reply);
    const std::string bytes = request->SerializeAsString();
    if (bytes == std::exchange(last_, bytes)) return status;
    return {grpc::StatusCode::UNAVAILABLE, "the answer got lost"};
  }
  grpc::Status Range(grpc::ServerContext*, const etcd::RangeRequest* request,
                     etcd::RangeResponse* reply) override {
    grpc::ClientContext context;
    return kv_->Range(&context, *request, reply);
  }

 private:
  const std::unique_ptr<etcd::KV::Stub> kv_;
  std::string last_;
};

TEST_F(EtcdStoreTest, WriteWhoseAnswerGotLostIsDoneOnce) {
  const auto leadership = Lead("one");
  ForgetfulEtcd forgetful(channel_);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&forgetful);
  const auto server = builder.BuildAndStart();
  const auto store = *EtcdStore::Open(*MakeChannel(absl::StrCat("127.0.0.1:", port), {}),
                                      store_options_, leadership->key());
  ASSERT_TRUE(StoredEvents(store.get()).ok());
  const std::vector<v1::Event> events = {StateEvent("a", "1"), ManifestEvent("a", "h"),
                                         StateEvent("a", "1")};
  for (const v1::Event& event : events) {
    const absl::Status status = store->Append({event});
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(*StoredEvents((*Open(*leadership)).get()), Strings(events));
}

TEST_F(EtcdStoreTest, DamageIsNoticed) {
  const auto leadership = Lead("one");
  const std::string prefix = store_options_.prefix;
  const auto fill = [&] {
    for (const char* name : {"/events/", "/manifests/", "/last", "/schema_version"}) {
      etcd::TxnRequest txn;
      auto* drop = txn.add_success()->mutable_request_delete_range();
      drop->set_key(prefix + name);
      drop->set_range_end(PrefixEnd(prefix + name));
      ASSERT_TRUE(client_->Txn(txn).ok());
    }
    const auto store = *Open(*leadership);
    ASSERT_TRUE(StoredEvents(store.get()).ok());
    ASSERT_TRUE(store->Append({StateEvent("a", "1"), ManifestEvent("a", "h")}).ok());
    ASSERT_EQ(StoredEvents((*Open(*leadership)).get())->size(), 2u);
  };
  const auto expect = [&](const std::string& what) {
    auto store = Open(*leadership);
    const absl::Status status = store.ok() ? StoredEvents(store->get()).status() : store.status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
  };
  fill();
  DeleteKey(FirstKey("events/"));
  expect("number of events");
  fill();
  const std::string event = FirstKey("events/");
  std::string bytes = **client_->Get(event);
  bytes.back() ^= 1;
  PutKey(event, bytes);
  expect("event 1 does not match its checksum");
  PutKey(event, "short");
  expect("event 1 does not match its checksum");
  fill();
  PutKey(FirstKey("manifests/"), "another value");
  expect("manifest h does not match its checksum");
  DeleteKey(FirstKey("manifests/"));
  expect("manifest h is gone");
  fill();
  DeleteKey(prefix + "/schema_version");
  expect("no schema_version");
  fill();
  PutKey(prefix + "/last", "behind our back");
  expect("instead of behind our back");
}

TEST_F(EtcdStoreTest, NewerSchemaIsRefusedByName) {
  PutKey(store_options_.prefix + "/schema_version", "7");
  const absl::Status status = Open(*Lead("one")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is 7, written by a newer"));
}

TEST(EtcdAddressTest, Forms) {
  EXPECT_TRUE(IsEtcdAddress("etcd://a:2379/navit"));
  EXPECT_FALSE(IsEtcdAddress("/var/lib/navit/state.db"));
  EXPECT_EQ(ParseEtcdAddress("etcd://etcd:2379/navit")->target, "dns:///etcd:2379");
  EXPECT_EQ(ParseEtcdAddress("etcd://etcd:2379/fleets/one")->prefix, "/fleets/one");
  EXPECT_EQ(ParseEtcdAddress("etcd://10.0.0.1:2379,10.0.0.2:2379/n")->target,
            "10.0.0.1:2379,10.0.0.2:2379");
  for (const char* wrong : {"etcd://", "etcd://a:2379", "etcd://a:2379/", "etcd://a/navit",
                            "etcd:///navit", "etcd://a:2379/navit/"}) {
    EXPECT_EQ(ParseEtcdAddress(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
}

}  // namespace
}  // namespace navit
