// A thousand clients that connect, open a stream and say nothing more: what they cost the
// coordinator, as a process of its own, and that it goes on serving.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "common/process_settings.h"
#include "proto/batches.grpc.pb.h"
#include "proto/jobs.grpc.pb.h"

namespace navit {
namespace {

constexpr int kStreams = 1000;
// What one of them may take: a connection with its buffers, and a call. Measured: 39 to 54 KiB.
constexpr uint64_t kBytesPerStream = 128 << 10;

std::string TempDir() {
  const char* base = std::getenv("TEST_TMPDIR");
  return base != nullptr ? base : "/tmp";
}

class CoordinatorProcess {
 public:
  CoordinatorProcess() {
    const std::string ports = TempDir() + "/ports";
    const std::vector<std::string> words = {
        "server/navit-coordinator", "--listen=127.0.0.1:0", "--listen_http=127.0.0.1:0",
        "--state=" + TempDir() + "/state.db", "--port_file=" + ports};
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      execv(argv[0], argv.data());
      _exit(127);
    }
    for (int i = 0; i < 600 && address_.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      std::ifstream file(ports);
      std::string name, port;
      while (file >> name >> port) {
        if (name == "grpc") address_ = "127.0.0.1:" + port;
      }
    }
  }
  ~CoordinatorProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  const std::string& address() const { return address_; }
  uint64_t ResidentBytes() const {
    std::ifstream statm("/proc/" + std::to_string(pid_) + "/statm");
    uint64_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  }

 private:
  pid_t pid_ = 0;
  std::string address_;
};

// A connection of its own, and a Pull stream that never opens.
class IdleStream {
 public:
  explicit IdleStream(const std::string& address) {
    ChannelOptions options;
    options.own_connection = true;
    channel_ = *MakeChannel(address, options);
    SetDeadline(&context_, absl::Minutes(2));
    stream_ = v1::Batches::NewStub(channel_)->Pull(&context_);
  }
  grpc::Status Finish() {
    v1::PullReply reply;
    while (stream_->Read(&reply)) {
    }
    return stream_->Finish();
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PullRequest, v1::PullReply>> stream_;
};

TEST(IdleStreamsTest, AThousandCostLittleAndEnd) {
  ApplyProcessSettings();
  const CoordinatorProcess coordinator;
  ASSERT_FALSE(coordinator.address().empty());
  const auto jobs = v1::Jobs::NewStub(*MakeChannel(coordinator.address(), {}));
  const auto served = [&] {
    grpc::ClientContext context;
    SetDeadline(&context, absl::Seconds(60));
    v1::ListReply reply;
    const grpc::Status status = jobs->List(&context, {}, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
  };
  served();
  const uint64_t before = coordinator.ResidentBytes();
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<IdleStream>> streams;
    for (int i = 0; i < kStreams; ++i) {
      streams.push_back(std::make_unique<IdleStream>(coordinator.address()));
    }
    served();
    const uint64_t grown = coordinator.ResidentBytes() - before;
    std::printf("round %d: %d streams, %.1f KiB each\n", round, kStreams,
                static_cast<double>(grown) / 1024 / kStreams);
    EXPECT_LT(grown, kStreams * kBytesPerStream);
    // Who opens a stream and says nothing is sent away.
    for (const auto& stream : streams) {
      EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    }
    served();
  }
}

}  // namespace
}  // namespace navit
