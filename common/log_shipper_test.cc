#include "common/log_shipper.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/log.h"
#include "proto/fleet.grpc.pb.h"

namespace navit {
namespace {

// A coordinator that only takes log lines.
class LogServer : public v1::Fleet::Service {
 public:
  // `port` 0: any.
  explicit LogServer(int port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~LogServer() override { server_->Shutdown(); }
  int port() const { return port_; }
  std::vector<v1::LogLine> lines() {
    absl::MutexLock lock(&mutex_);
    return lines_;
  }
  grpc::Status ShipLogs(grpc::ServerContext*, const v1::ShipLogsRequest* request,
                        google::protobuf::Empty*) override {
    absl::MutexLock lock(&mutex_);
    lines_.insert(lines_.end(), request->lines().begin(), request->lines().end());
    return grpc::Status::OK;
  }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  absl::Mutex mutex_;
  std::vector<v1::LogLine> lines_ ABSL_GUARDED_BY(mutex_);
};

class LogShipperTest : public testing::Test {
 protected:
  LogShipperTest() {
    SetLogSink([](absl::string_view) {});
  }
  ~LogShipperTest() override { SetLogSink(nullptr); }

  std::unique_ptr<LogShipper> Ship(int port, size_t max_queue_bytes) {
    LogShipperOptions options;
    options.coordinator = absl::StrCat("127.0.0.1:", port);
    options.worker.set_name("w");
    options.worker.set_incarnation(7);
    options.max_queue_bytes = max_queue_bytes;
    options.farewell = absl::Seconds(60);
    auto shipper = LogShipper::Start(std::move(options));
    EXPECT_TRUE(shipper.ok()) << shipper.status();
    return *std::move(shipper);
  }
};

TEST_F(LogShipperTest, SendsWhatBelongsToAJobInOrderAndNothingElse) {
  LogServer server(0);
  auto shipper = Ship(server.port(), 1 << 20);
  NAVIT_LOG(INFO) << "of no job";
  {
    LogScope scope("j", 3);
    for (int i = 0; i < 100; ++i) NAVIT_LOG(INFO) << "line " << i;
  }
  shipper = nullptr;  // Sends what is left.
  const std::vector<v1::LogLine> lines = server.lines();
  ASSERT_EQ(lines.size(), 100u);
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].message(), absl::StrCat("line ", i));
    EXPECT_EQ(lines[i].number(), i + 1);
    EXPECT_EQ(lines[i].job(), "j");
    EXPECT_EQ(lines[i].incarnation(), 7u);
  }
}

TEST_F(LogShipperTest, WithoutACoordinatorTheQueueStaysBoundedAndTheRestIsCounted) {
  const int port = std::make_unique<LogServer>(0)->port();  // Nobody listens there any more.
  constexpr size_t kRoom = 20 << 10;
  constexpr size_t kLines = 1000;
  auto shipper = Ship(port, kRoom);
  const uint64_t before = DroppedLogLines();
  {
    LogScope scope("j");
    for (size_t i = 0; i < kLines; ++i) NAVIT_LOG(INFO) << i << std::string(1024, '.');
  }
  const uint64_t dropped = DroppedLogLines() - before;
  EXPECT_GE(dropped, kLines - kRoom / 1024);
  LogServer server(port);
  ASSERT_EQ(server.port(), port);
  shipper = nullptr;
  const std::vector<v1::LogLine> lines = server.lines();
  EXPECT_GE(lines.size(), 10u);
  EXPECT_EQ(lines.size() + dropped, kLines);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i].number(), i + 1);
}

}  // namespace
}  // namespace navit
