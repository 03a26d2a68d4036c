#include "server/bench/relay_peer.h"

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "common/grpc_status.h"
#include "common/version.h"
#include "proto/jobs.grpc.pb.h"
#include "server/bench/packs.h"

namespace navit::bench {

void Die(const std::string& what) {
  std::fprintf(stderr, "relay_bench: %s\n", what.c_str());
  std::exit(1);
}

std::shared_ptr<grpc::Channel> Dial(const std::string& address) {
  ChannelOptions options;
  options.own_connection = true;
  auto channel = MakeChannel(address, options);
  if (!channel.ok()) Die(channel.status().ToString());
  return *channel;
}

v1::WorkerId Id(const std::string& name) {
  v1::WorkerId id;
  id.set_name(name);
  id.set_incarnation(1);
  return id;
}

std::unique_ptr<WorkerSession> StartSession(const std::string& coordinator, const v1::WorkerId& id,
                                            v1::Role role, WorkerSessionDelegate* delegate) {
  WorkerSessionOptions options;
  options.coordinator = coordinator;
  *options.registration.mutable_worker() = id;
  options.registration.set_role(role);
  options.registration.set_version(Version());
  options.registration.set_host("bench");
  options.registration.set_device("cpu");
  auto session = WorkerSession::Start(std::move(options), delegate);
  if (!session.ok()) Die(session.status().ToString());
  return *std::move(session);
}

int Submit(const std::string& coordinator, const Load& load, const std::string& folder) {
  v1::SubmitRequest request;
  request.set_request_id("bench");
  v1::JobSpec* spec = request.mutable_spec();
  spec->set_name(kJob);
  spec->mutable_data()->add_train()->set_shards("/bench.tar");
  // A token has 772 bytes.
  spec->mutable_packing()->set_sequence_length(static_cast<uint32_t>(load.max_bytes / 772 + 16));
  spec->mutable_packing()->set_max_examples_per_sequence(64);
  spec->mutable_packing()->set_sequences_per_step(static_cast<uint32_t>(load.packs_per_step));
  spec->mutable_packing()->set_window_samples(kWindowSamples);
  spec->mutable_packing()->set_windows_per_group(kWindowsPerGroup);
  spec->mutable_train_for()->set_steps(load.steps());
  spec->mutable_checkpoints()->set_directory(folder);
  spec->mutable_workers()->mutable_trainers()->set_min(static_cast<uint32_t>(load.trainers));
  spec->mutable_workers()->mutable_packers()->set_max(64);
  const auto stub = v1::Jobs::NewStub(Dial(coordinator));
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(20));
  v1::Job job;
  const grpc::Status status = stub->Submit(&context, request, &job);
  if (!status.ok()) Die(status.error_message());
  return 0;
}

}  // namespace navit::bench
