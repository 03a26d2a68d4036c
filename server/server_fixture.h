// The whole coordinator in one process, on a port of its own.
#ifndef NAVIT_SERVER_SERVER_FIXTURE_H_
#define NAVIT_SERVER_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/grpc_server.h"
#include "common/grpc_status.h"
#include "proto/batches.grpc.pb.h"
#include "proto/fleet.grpc.pb.h"
#include "proto/jobs.grpc.pb.h"
#include "server/core/coordinator.h"
#include "server/host.h"
#include "server/metrics.h"
#include "server/services/services.h"
#include "server/store/sqlite_store.h"

namespace navit {

inline constexpr int kG = 2;
inline constexpr int kPacksPerWindow = 2;
// What the job file's rules allow.
inline constexpr uint32_t kPlanVersion = 3;
inline constexpr absl::Duration kCall = absl::Seconds(20);

struct Call {
  explicit Call(absl::Duration timeout = kCall) { SetDeadline(&context, timeout); }
  grpc::ClientContext* operator&() { return &context; }
  grpc::ClientContext context;
};

// What navit-coordinator runs, on a fixed state file and a fresh port.
class Server {
 public:
  explicit Server(const std::string& state) {
    auto store = SqliteStore::Open(state);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    core_ = std::make_unique<Coordinator>(CoordinatorOptions{}, store_.get());
    EXPECT_TRUE(core_->Start({1, 1}).ok());
    host_ = std::make_unique<CoordinatorHost>(core_.get(), CoordinatorHost::Options{});
    services_.push_back(
        MakeJobsService(host_.get(), &metrics_, &telemetry_, logs_.get(), MakeObjectStore()));
    services_.push_back(MakeFleetService(host_.get(), &metrics_, &telemetry_, logs_.get()));
    services_.push_back(MakeBatchesService(host_.get(), &metrics_));
    GrpcServerOptions options;
    options.listen = "127.0.0.1:0";
    // So that no message that waits for something else to be written is helped along.
    options.keepalive = absl::Hours(1);
    auto server =
        GrpcServer::Start(options, {services_[0].get(), services_[1].get(), services_[2].get()});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    jobs_ = v1::Jobs::NewStub(channel_);
    fleet_ = v1::Fleet::NewStub(channel_);
    batches_ = v1::Batches::NewStub(channel_);
  }
  ~Server() {
    host_->Drain();
    server_->Shutdown(absl::Seconds(1));
  }

  v1::Jobs::Stub& jobs() { return *jobs_; }
  v1::Fleet::Stub& fleet() { return *fleet_; }
  v1::Batches::Stub& batches() { return *batches_; }
  // On a connection that nothing else uses, as a trainer has for its packs.
  std::unique_ptr<v1::Batches::Stub> OwnBatches() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::Batches::NewStub(grpc::CreateCustomChannel(
        server_->address(), grpc::InsecureChannelCredentials(), arguments));
  }
  uint64_t HeldBytes() {
    return host_->Call([](Coordinator&, PackBytes& packs, Instant) { return packs.bytes(); });
  }
  std::vector<prometheus::MetricFamily> Metrics() {
    return CoordinatorMetrics(host_.get(), &metrics_).Collect();
  }
  // Value of the metric's sample with this label.
  double Metric(const std::string& name, const std::string& label, const std::string& value) {
    for (const prometheus::MetricFamily& family : Metrics()) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        for (const auto& has : metric.label) {
          if (has.name == label && has.value == value) return metric.counter.value;
        }
      }
    }
    ADD_FAILURE() << name << " has no sample with " << label << "=" << value;
    return 0;
  }
  // Waits until `condition` holds, which is asked after every change. All streams that were open
  // before the call have then had their turn to send since it began.
  void WaitUntil(std::function<bool(Coordinator&)> condition) {
    const auto watch = std::make_shared<Watch>(host_.get(), std::move(condition));
    const uint64_t waiter = host_->AddWaiter(watch);
    EXPECT_TRUE(watch->held.WaitForNotificationWithTimeout(kCall));
    host_->RemoveWaiter(waiter);
  }

 private:
  // The host asks waiters in the order in which they came: this one after all older ones.
  struct Watch : Waiter {
    Watch(CoordinatorHost* its_host, std::function<bool(Coordinator&)> its_condition)
        : host(its_host), condition(std::move(its_condition)) {}
    void Poll() override {
      if (held.HasBeenNotified()) return;
      const auto ask = [this](Coordinator& core, PackBytes&, Instant) { return condition(core); };
      if (host->Call(ask)) held.Notify();
    }
    CoordinatorHost* const host;
    const std::function<bool(Coordinator&)> condition;
    absl::Notification held;
  };

  ServerMetrics metrics_;
  TelemetryBook telemetry_;
  std::unique_ptr<JobLogs> logs_ = *JobLogs::Open(testing::TempDir() + "/logs", uint64_t{1} << 20);
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Coordinator> core_;
  std::unique_ptr<CoordinatorHost> host_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Jobs::Stub> jobs_;
  std::unique_ptr<v1::Fleet::Stub> fleet_;
  std::unique_ptr<v1::Batches::Stub> batches_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    const char* base = std::getenv("TEST_TMPDIR");
    std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/server-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    Restart();
  }
  ~ServerTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Restart() {
    server_.reset();
    server_ = std::make_unique<Server>(folder_ + "/state.db");
  }

  v1::SubmitRequest Spec(const std::string& request_id, const std::string& name = "job") {
    v1::SubmitRequest request;
    request.set_request_id(request_id);
    v1::JobSpec* spec = request.mutable_spec();
    spec->set_name(name);
    spec->mutable_data()->add_train()->set_shards("/data/a.tar");
    spec->mutable_packing()->set_sequence_length(64);
    spec->mutable_packing()->set_plan_version(kPlanVersion);
    spec->mutable_packing()->set_sequences_per_step(kG);
    spec->mutable_packing()->set_window_samples(16);
    spec->mutable_packing()->set_windows_per_group(1);
    spec->mutable_train_for()->set_steps(100);
    spec->mutable_checkpoints()->set_directory(folder_ + "/checkpoints");
    return request;
  }
  grpc::Status Submit(const v1::SubmitRequest& request, v1::Job* job) {
    Call call;
    return server_->jobs().Submit(&call, request, job);
  }
  v1::Job Get(const std::string& name) {
    v1::JobRequest request;
    request.set_name(name);
    v1::Job job;
    Call call;
    const grpc::Status status = server_->jobs().Get(&call, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  std::string folder_;
  std::unique_ptr<Server> server_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_SERVER_FIXTURE_H_
