#include "common/field_violations.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "common/grpc_status.h"
#include "proto/error_details.pb.h"

namespace navit {

absl::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest bad_request;
  std::string message;
  for (const FieldViolation& violation : violations) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", violation.path, ": ",
                    violation.message);
    google::rpc::BadRequest::FieldViolation* field = bad_request.add_field_violations();
    field->set_field(violation.path);
    field->set_description(violation.message);
  }
  google::rpc::Status details;
  details.set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
  details.set_message(message);
  details.add_details()->PackFrom(bad_request);
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kGrpcDetailsPayload, absl::Cord(details.SerializeAsString()));
  return status;
}

std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const absl::optional<absl::Cord> payload = status.GetPayload(kGrpcDetailsPayload);
  google::rpc::Status details;
  if (!payload || !details.ParseFromString(std::string(*payload))) return violations;
  for (const google::protobuf::Any& any : details.details()) {
    google::rpc::BadRequest bad_request;
    if (!any.UnpackTo(&bad_request)) continue;
    for (const auto& field : bad_request.field_violations()) {
      violations.push_back({field.field(), field.description()});
    }
  }
  return violations;
}

}  // namespace navit
