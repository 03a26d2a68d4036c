#include "common/grpc_channel.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/grpc_server.h"
#include "common/grpc_status.h"
#include "proto/jobs.grpc.pb.h"

namespace navit {
namespace {

using ::testing::HasSubstr;

// Answers every call with ABORTED and its own name.
class Named : public grpc::CallbackGenericService {
 public:
  explicit Named(std::string name) : name_(std::move(name)) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    class Reactor : public grpc::ServerGenericBidiReactor {
     public:
      explicit Reactor(const std::string& name) { Finish({grpc::StatusCode::ABORTED, name}); }
      void OnDone() override { delete this; }
    };
    return new Reactor(name_);
  }

 private:
  const std::string name_;
};

class SeveralServersTest : public ::testing::Test {
 protected:
  std::unique_ptr<GrpcServer> Start(Named* service, bool serving) {
    GrpcServerOptions options;
    options.listen = "127.0.0.1:0";
    options.serving = serving;
    options.other_calls = service;
    return *GrpcServer::Start(options, {});
  }

  // Which server answers; waits while none serves.
  std::string WhoAnswers() {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    SetDeadline(&context, absl::Seconds(30));
    v1::ListReply reply;
    return stub_->List(&context, v1::ListRequest(), &reply).error_message();
  }

  Named one_{"one"};
  Named two_{"two"};
  std::unique_ptr<v1::Jobs::Stub> stub_;
};

TEST_F(SeveralServersTest, CallsGoToTheOneThatServes) {
  const auto one = Start(&one_, false);
  const auto two = Start(&two_, true);
  const auto channel =
      MakeChannel(absl::StrCat("127.0.0.1:", one->port(), ",127.0.0.1:", two->port()), {});
  ASSERT_TRUE(channel.ok()) << channel.status();
  stub_ = v1::Jobs::NewStub(*channel);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(WhoAnswers(), "two");

  two->SetServing(false);
  one->SetServing(true);
  // The news may take a moment; then it is for good.
  while (WhoAnswers() != "one") {
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(WhoAnswers(), "one");
}

TEST_F(SeveralServersTest, OneThatIsGoneIsPassedOver) {
  auto one = Start(&one_, true);
  const auto two = Start(&two_, false);
  const auto channel =
      MakeChannel(absl::StrCat("127.0.0.1:", one->port(), ",127.0.0.1:", two->port()), {});
  stub_ = v1::Jobs::NewStub(*channel);
  EXPECT_EQ(WhoAnswers(), "one");
  one.reset();
  two->SetServing(true);
  EXPECT_EQ(WhoAnswers(), "two");
}

TEST_F(SeveralServersTest, SingleServerAnswersWhateverItsHealth) {
  const auto one = Start(&one_, false);
  stub_ = v1::Jobs::NewStub(*MakeChannel(one->address(), {}));
  EXPECT_EQ(WhoAnswers(), "one");
  // Every address of a name: here those of localhost.
  one->SetServing(true);
  stub_ = v1::Jobs::NewStub(*MakeChannel(absl::StrCat("dns:///localhost:", one->port()), {}));
  EXPECT_EQ(WhoAnswers(), "one");
}

TEST(AddressListTest, MistakesAreNamed) {
  const absl::Status names = MakeChannel("127.0.0.1:7440,other:7440", {}).status();
  EXPECT_EQ(names.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(names.message()), HasSubstr("'other:7440' is not IPV4:PORT"));
  EXPECT_FALSE(MakeChannel("127.0.0.1:7440,", {}).ok());
}

}  // namespace
}  // namespace navit
