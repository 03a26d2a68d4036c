// What packers and trainers of the relay benchmark share: they speak the whole protocol, make no
// pack and train nothing. Their streams are those of the real workers: blocking, frames as bytes.
#ifndef NAVIT_SERVER_BENCH_RELAY_PEER_H_
#define NAVIT_SERVER_BENCH_RELAY_PEER_H_

#include <memory>
#include <string>

#include "common/grpc_channel.h"
#include "common/worker_session.h"
#include "proto/fleet.pb.h"

namespace navit::bench {

inline constexpr char kJob[] = "bench";

// Ends the process: nothing here goes on after a fault.
[[noreturn]] void Die(const std::string& what);
// A connection of its own.
std::shared_ptr<grpc::Channel> Dial(const std::string& address);
v1::WorkerId Id(const std::string& name);
std::unique_ptr<WorkerSession> StartSession(const std::string& coordinator, const v1::WorkerId& id,
                                            v1::Role role, WorkerSessionDelegate* delegate);

}  // namespace navit::bench

#endif  // NAVIT_SERVER_BENCH_RELAY_PEER_H_
