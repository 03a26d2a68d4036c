// What people and workers meet at a real server: refusals, repetitions, streams, metrics.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "common/field_violations.h"
#include "common/version.h"
#include "server/server_fixture.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

TEST_F(ServerTest, RepeatedMutationHasTheFirstOnesEffect) {
  v1::Job first, again;
  ASSERT_TRUE(Submit(Spec("r1"), &first).ok());
  ASSERT_TRUE(Submit(Spec("r1"), &again).ok());
  EXPECT_EQ(first.submitted_seconds(), again.submitted_seconds());
  EXPECT_EQ(Submit(Spec("r2"), &again).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  Restart();
  EXPECT_TRUE(Submit(Spec("r1"), &again).ok());
  v1::JobMutation cancel;
  cancel.set_request_id("c1");
  cancel.set_name("job");
  for (int i = 0; i < 2; ++i) {
    Call call;
    EXPECT_TRUE(server_->jobs().Cancel(&call, cancel, &again).ok());
    EXPECT_EQ(again.state(), v1::CANCELLED);
  }
}

TEST_F(ServerTest, FaultyFieldsAreNamed) {
  v1::SubmitRequest request = Spec("r1");
  request.mutable_spec()->mutable_packing()->set_sequence_length(3);
  request.mutable_spec()->mutable_optimizer()->set_lr(std::nan(""));
  v1::Job job;
  const grpc::Status status = Submit(request, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  std::set<std::string> fields;
  for (const FieldViolation& violation : FieldViolationsOf(FromGrpcStatus(status))) {
    fields.insert(violation.path);
  }
  EXPECT_EQ(fields, (std::set<std::string>{"packing.sequence_length", "optimizer.lr"}));
}

TEST_F(ServerTest, CheckpointFolderMustBeWritable) {
  v1::SubmitRequest request = Spec("r1");
  request.mutable_spec()->mutable_checkpoints()->set_directory("/proc/navit");
  v1::Job job;
  const grpc::Status status = Submit(request, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("checkpoints.directory"));
}

TEST_F(ServerTest, CallsWithoutDeadlineAreRefused) {
  grpc::ClientContext at_once, waiting;
  v1::ListReply list;
  EXPECT_EQ(server_->jobs().List(&at_once, {}, &list).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::Work work;
  EXPECT_EQ(server_->fleet().LeaseWork(&waiting, {}, &work).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, ReleasesThatDoNotWorkTogetherAreRefused) {
  const std::pair<const char*, grpc::StatusCode> cases[] = {
      {Version(), grpc::StatusCode::OK},
      {"0.0.9", grpc::StatusCode::OK},
      {"0.2.0", grpc::StatusCode::FAILED_PRECONDITION},
      {"7.0.0", grpc::StatusCode::FAILED_PRECONDITION},
      {"seven", grpc::StatusCode::INVALID_ARGUMENT},
  };
  for (const auto& [version, code] : cases) {
    v1::RegisterRequest request;
    request.mutable_worker()->set_name("w");
    request.mutable_worker()->set_incarnation(1);
    request.set_role(v1::PACKER);
    request.set_version(version);
    v1::RegisterReply reply;
    Call call;
    EXPECT_EQ(server_->fleet().Register(&call, request, &reply).error_code(), code) << version;

    Call list;
    list.context.AddMetadata(kVersionMetadata, version);
    v1::ListReply jobs;
    EXPECT_EQ(server_->jobs().List(&list, {}, &jobs).error_code(), code) << version;
  }
}

TEST_F(ServerTest, UnknownWorkersAndJobsAreNotFound) {
  v1::LeaseWorkRequest lease;
  lease.mutable_worker()->set_name("nobody");
  v1::Work work;
  Call lease_call, get_call;
  EXPECT_EQ(server_->fleet().LeaseWork(&lease_call, lease, &work).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::JobRequest request;
  request.set_name("none");
  v1::Job job;
  EXPECT_EQ(server_->jobs().Get(&get_call, request, &job).error_code(),
            grpc::StatusCode::NOT_FOUND);
  grpc::ClientContext watch_context;
  SetDeadline(&watch_context, kCall);
  auto watch = server_->jobs().Watch(&watch_context, request);
  EXPECT_FALSE(watch->Read(&job));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, WatchEndsWithTheFinalState) {
  v1::Job job;
  ASSERT_TRUE(Submit(Spec("r1"), &job).ok());
  grpc::ClientContext context;
  SetDeadline(&context, kCall);
  v1::JobRequest request;
  request.set_name("job");
  auto watch = server_->jobs().Watch(&context, request);
  ASSERT_TRUE(watch->Read(&job));
  EXPECT_EQ(job.state(), v1::QUEUED);
  v1::JobMutation cancel;
  cancel.set_request_id("c1");
  cancel.set_name("job");
  Call call;
  v1::Job cancelled;
  ASSERT_TRUE(server_->jobs().Cancel(&call, cancel, &cancelled).ok());
  while (watch->Read(&job)) {
  }
  EXPECT_EQ(job.state(), v1::CANCELLED);
  EXPECT_TRUE(watch->Finish().ok());
}

TEST_F(ServerTest, MetricsHaveTheJobAndNoExportedLabel) {
  v1::Job job;
  ASSERT_TRUE(Submit(Spec("r1"), &job).ok());
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : server_->Metrics()) {
    names.insert(family.name);
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& label : metric.label) {
        EXPECT_NE(label.name, "job");
        EXPECT_NE(label.name, "instance");
      }
    }
  }
  for (const char* name : {"navit_jobs", "navit_workers", "navit_leases", "navit_step",
                           "navit_rpc_duration_seconds", "navit_relay_bytes_total"}) {
    EXPECT_TRUE(names.count(name)) << name;
  }
}

}  // namespace
}  // namespace navit
