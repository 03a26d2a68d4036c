// absl::Status on both ends of a gRPC call, and deadlines that a jump of the wall clock cannot
// move.
#ifndef NAVIT_COMMON_GRPC_STATUS_H_
#define NAVIT_COMMON_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace grpc {
class ClientContext;
class ServerContextBase;
}  // namespace grpc

namespace navit {

// Payload of an absl::Status that travels as the details of a gRPC status (a serialised
// google.rpc.Status).
inline constexpr char kGrpcDetailsPayload[] = "navit.grpc-status-details";

grpc::Status ToGrpcStatus(const absl::Status& status);
// `context`, when not empty, is put before the message: "Fleet.Register: connection refused".
absl::Status FromGrpcStatus(const grpc::Status& status, absl::string_view context = "");

// The call ends DEADLINE_EXCEEDED after `timeout`, on the steady clock.
void SetDeadline(grpc::ClientContext* context, absl::Duration timeout);

// First line of every unary RPC method: INVALID_ARGUMENT when the client set no deadline (nothing
// may wait for ever).
grpc::Status RequireDeadline(const grpc::ServerContextBase& context);
// What is left of the client's deadline; infinite when it set none.
absl::Duration RemainingTime(const grpc::ServerContextBase& context);

}  // namespace navit

#endif  // NAVIT_COMMON_GRPC_STATUS_H_
