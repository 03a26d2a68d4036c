#include "common/field_violations.h"

#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include "common/grpc_status.h"

namespace navit {
namespace {

TEST(FieldViolationsTest, TravelThroughAGrpcStatus) {
  const absl::Status sent =
      InvalidFields({{"packing.sequence_length", "must be in [16, 65536], is 0"},
                     {"name", "must not be empty"}});
  const absl::Status received = FromGrpcStatus(ToGrpcStatus(sent), "Jobs.Submit");
  EXPECT_EQ(received.code(), absl::StatusCode::kInvalidArgument);
  const std::vector<FieldViolation> violations = FieldViolationsOf(received);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].path, "packing.sequence_length");
  EXPECT_EQ(violations[0].message, "must be in [16, 65536], is 0");
  EXPECT_EQ(violations[1].path, "name");
}

TEST(FieldViolationsTest, OtherStatusesHaveNone) {
  EXPECT_TRUE(FieldViolationsOf(absl::OkStatus()).empty());
  EXPECT_TRUE(FieldViolationsOf(absl::NotFoundError("no such job")).empty());
  absl::Status damaged = absl::InvalidArgumentError("x");
  damaged.SetPayload(kGrpcDetailsPayload, absl::Cord("\x0f\xff not a message"));
  EXPECT_TRUE(FieldViolationsOf(damaged).empty());
}

}  // namespace
}  // namespace navit
