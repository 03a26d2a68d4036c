#include "worker/pack_fetcher.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_status.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "proto/batches.grpc.pb.h"
#include "worker/pack_check.h"

namespace navit {

// The packs of one packer.
struct PackFetcher::Call {
  Call(RunClient* client, const std::shared_ptr<grpc::Channel>& channel,
       const std::vector<v1::Frame*>& frames, absl::Duration timeout)
      : wanted(frames), cancellable(client, &context), stub(v1::Packs::NewStub(channel)) {
    v1::FetchRequest request;
    for (const v1::Frame* frame : frames) {
      v1::FetchRequest::Pack* pack = request.add_packs();
      pack->set_lease_epoch(frame->header().lease_epoch());
      pack->set_index(frame->header().index());
      pack->set_token(frame->source().token());
    }
    SetDeadline(&context, timeout);
    stream = stub->Fetch(&context, request);
  }

  // The payloads as they come.
  absl::Status Read() {
    size_t next = 0;
    absl::Status fault;
    v1::PullReply reply;
    while (fault.ok() && stream->Read(&reply)) {
      for (v1::Frame& got : *reply.mutable_frames()) {
        if (next == wanted.size()) {
          fault = absl::DataLossError("more packs came than were asked for");
          break;
        }
        // The header that counts is the coordinator's.
        wanted[next]->set_payload(std::move(*got.mutable_payload()));
        fault = CheckPack(*wanted[next], v1::SPLIT_TRAIN);
        if (!fault.ok()) break;
        wanted[next++]->clear_source();
      }
    }
    if (!fault.ok()) context.TryCancel();
    const absl::Status status = FromGrpcStatus(stream->Finish(), "Packs.Fetch");
    if (!fault.ok()) return fault;
    if (status.ok() && next < wanted.size()) return absl::DataLossError("a pack did not come");
    return status;
  }

  const std::vector<v1::Frame*> wanted;
  grpc::ClientContext context;
  RunClient::CancellableCall cancellable;
  const std::unique_ptr<v1::Packs::Stub> stub;
  std::unique_ptr<grpc::ClientReader<v1::PullReply>> stream;
};

absl::StatusOr<std::shared_ptr<grpc::Channel>> PackFetcher::ChannelTo(const std::string& address) {
  std::shared_ptr<grpc::Channel>& channel = channels_[address];
  if (channel == nullptr) {
    NAVIT_ASSIGN_OR_RETURN(channel, MakeChannel(address, options_.channel));
  }
  return channel;
}

absl::Status PackFetcher::Fetch(std::vector<v1::Frame>* frames) {
  std::map<std::string, std::vector<v1::Frame*>> by_packer;
  for (v1::Frame& frame : *frames) {
    if (frame.has_source()) by_packer[frame.source().address()].push_back(&frame);
  }
  // All streams are open before the first is read: packers send at the same time.
  std::map<std::string, std::unique_ptr<Call>> calls;
  absl::Status result;
  const auto failed = [&](const std::string& address, const absl::Status& status) {
    NAVIT_LOG(WARNING) << "packs of packer " << address << ": " << status;
    failed_.insert(address);
    channels_.erase(address);
    result =
        absl::UnavailableError(absl::StrCat("packs of packer ", address, ": ", status.message()));
  };
  for (const auto& [address, wanted] : by_packer) {
    const auto channel = ChannelTo(address);
    if (!channel.ok()) {
      failed(address, channel.status());
      continue;
    }
    calls[address] = std::make_unique<Call>(client_, *channel, wanted, options_.timeout);
  }
  for (const auto& [address, call] : calls) {
    const absl::Status status = call->Read();
    if (!status.ok()) failed(address, status);
  }
  return result;
}

}  // namespace navit
