#include "common/grpc_status.h"

#include <grpc/support/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

namespace navit {

// The two sets of codes have the same numbers by design.
grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string details;
  if (absl::optional<absl::Cord> payload = status.GetPayload(kGrpcDetailsPayload)) {
    details = std::string(*payload);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      details);
}

absl::Status FromGrpcStatus(const grpc::Status& status, absl::string_view context) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      context.empty() ? status.error_message()
                                      : absl::StrCat(context, ": ", status.error_message()));
  if (!status.error_details().empty()) {
    result.SetPayload(kGrpcDetailsPayload, absl::Cord(status.error_details()));
  }
  return result;
}

void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  const absl::Duration bounded = std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24 * 365));
  context->set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_millis(absl::ToInt64Milliseconds(bounded), GPR_TIMESPAN)));
}

absl::Duration RemainingTime(const grpc::ServerContextBase& context) {
  const gpr_timespec deadline = context.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
    return absl::InfiniteDuration();
  }
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return std::max(absl::ZeroDuration(),
                  absl::Seconds(left.tv_sec) + absl::Nanoseconds(left.tv_nsec));
}

grpc::Status RequireDeadline(const grpc::ServerContextBase& context) {
  if (RemainingTime(context) == absl::InfiniteDuration()) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                        "the call has no deadline: set one, nothing may wait for ever");
  }
  return grpc::Status::OK;
}

}  // namespace navit
