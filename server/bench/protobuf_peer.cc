// What a plain gRPC service would do: the same bytes as protobuf messages, parsed and written
// again.
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <utility>

#include "common/grpc_channel.h"
#include "common/grpc_server.h"
#include "proto/batches.grpc.pb.h"
#include "server/bench/packs.h"

namespace navit::bench {
namespace {

constexpr uint64_t kQueueBytes = uint64_t{64} << 20;

// A queue bounded in bytes between any number of Push and Pull streams.
class ParsingRelay : public v1::Batches::Service {
 public:
  grpc::Status Push(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PushReply, v1::PushRequest>* stream) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ++pushers_;
    }
    v1::PushRequest pack;
    while (stream->Read(&pack)) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return bytes_ < kQueueBytes; });
      bytes_ += pack.payload().size();
      v1::PullReply out;
      *out.mutable_header() = std::move(*pack.mutable_header());
      *out.mutable_payload() = std::move(*pack.mutable_payload());
      packs_.push_back(std::move(out));
      changed_.notify_all();
    }
    std::lock_guard<std::mutex> lock(mutex_);
    --pushers_;
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status Pull(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PullReply, v1::PullRequest>* stream) override {
    while (true) {
      v1::PullReply pack;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !packs_.empty() || (began_ && pushers_ == 0); });
        if (packs_.empty()) return grpc::Status::OK;
        began_ = true;
        pack = std::move(packs_.front());
        packs_.pop_front();
        bytes_ -= pack.payload().size();
        changed_.notify_all();
      }
      if (!stream->Write(pack)) return grpc::Status::CANCELLED;
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::PullReply> packs_;
  uint64_t bytes_ = 0;
  int pushers_ = 0;
  bool began_ = false;
};

std::unique_ptr<v1::Batches::Stub> Dial(const std::string& address) {
  auto channel = MakeChannel(address, {});
  if (!channel.ok()) std::abort();
  return v1::Batches::NewStub(*channel);
}

}  // namespace

int ProtobufRelay() {
  ParsingRelay relay;
  GrpcServerOptions options;
  options.listen = "127.0.0.1:0";
  auto server = GrpcServer::Start(options, {&relay});
  if (!server.ok()) return 1;
  std::printf("%s\n", (*server)->address().c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

int ProtobufPacker(const std::string& address, const Load& load, int number, int packers) {
  const auto stub = Dial(address);
  grpc::ClientContext context;
  const auto stream = stub->Push(&context);
  const std::string bytes = RandomBytes(load.max_bytes + kSlackBytes);
  for (uint64_t o = static_cast<uint64_t>(number); o < load.packs; o += packers) {
    v1::PushRequest pack;
    *pack.mutable_header() = HeaderOf("bench", o, 0, 1, load.Bytes(o));
    pack.set_payload(bytes.data() + PayloadOffset(o), load.Bytes(o));
    if (!stream->Write(pack)) return 1;
  }
  stream->WritesDone();
  return stream->Finish().ok() ? 0 : 1;
}

int ProtobufTrainer(const std::string& address, const Load& load) {
  const auto stub = Dial(address);
  grpc::ClientContext context;
  const auto stream = stub->Pull(&context);
  Meter meter;
  v1::PullReply pack;
  for (uint64_t n = 0; stream->Read(&pack); ++n) {
    meter.Count(pack.payload().size(), n * load.trainers >= 2 * load.packs_per_step);
  }
  meter.Print();
  return stream->Finish().ok() ? 0 : 1;
}

}  // namespace navit::bench
