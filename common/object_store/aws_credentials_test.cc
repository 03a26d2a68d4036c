#include "common/object_store/aws_credentials.h"

#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/object_store/aws_profile.h"
#include "common/object_store/testing/scripted_server.h"
#include "gtest/gtest.h"

namespace navit {
namespace {

using testing::ScriptedReply;
using testing::ScriptedRequest;
using testing::ScriptedServer;

class AwsCredentialsTest : public ::testing::Test {
 protected:
  AwsCredentialsTest() : clock_(absl::FromUnixSeconds(1700000000)) {
    folder_ = absl::StrCat(::testing::TempDir(), "/aws-",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    EXPECT_TRUE(RemoveAll(folder_).ok());
    EXPECT_TRUE(EnsureFolder(folder_ + "/.aws").ok());
    set_ = {{"HOME", folder_}, {"AWS_EC2_METADATA_DISABLED", "true"}};
  }
  AwsCredentialsSource Source() {
    ObjectStoreOptions options;
    options.clock = &clock_;
    options.environment = [set = set_](const std::string& name) {
      const auto found = set.find(name);
      return found == set.end() ? std::string() : found->second;
    };
    return AwsCredentialsSource(options);
  }
  std::string File(const std::string& name, const std::string& text) {
    EXPECT_TRUE(AtomicWriteFile(folder_ + "/" + name, text).ok());
    return folder_ + "/" + name;
  }
  std::string InAnHour() const {
    return absl::FormatTime(absl::RFC3339_full, clock_.UnixNow() + absl::Hours(1),
                            absl::UTCTimeZone());
  }
  std::string Json(int number) const {
    return absl::StrCat(R"({"Code":"Success","AccessKeyId":"KEY)", number,
                        R"(","SecretAccessKey":"S","Token":"T","Expiration":")", InAnHour(), "\"}");
  }
  ManualClock clock_;
  std::string folder_;
  std::map<std::string, std::string> set_;
};

TEST_F(AwsCredentialsTest, NoneNamesAllThatWasTried) {
  const absl::Status status = Source().Get().status();
  EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  for (const char* word :
       {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "/.aws/credentials", "/.aws/config",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_DISABLED"}) {
    EXPECT_TRUE(absl::StrContains(status.message(), word)) << word << ": " << status;
  }
}

TEST_F(AwsCredentialsTest, Environment) {
  set_["AWS_ACCESS_KEY_ID"] = "A";
  EXPECT_TRUE(absl::IsUnauthenticated(Source().Get().status())) << "half of a pair";
  set_["AWS_SECRET_ACCESS_KEY"] = "B";
  set_["AWS_SESSION_TOKEN"] = "C";
  const auto credentials = Source().Get();
  ASSERT_TRUE(credentials.ok());
  EXPECT_EQ(
      credentials->access_key_id + credentials->secret_access_key + credentials->session_token,
      "ABC");
}

TEST_F(AwsCredentialsTest, ProfileFiles) {
  File(".aws/credentials",
       "# comment\n[default]\naws_access_key_id = D\naws_secret_access_key=d\n\n"
       "[work]\naws_access_key_id = W\naws_secret_access_key = w\naws_session_token=t\n");
  File(
      ".aws/config",
      "[default]\nregion = eu-north-1\n[profile work]\nregion=eu-west-3\ns3 =\n"
      "  addressing_style = path\n[profile sso]\nsso_session = x\n[sso-session work]\nregion=no\n");
  EXPECT_EQ(Source().Get()->access_key_id, "D");
  set_["AWS_PROFILE"] = "work";
  EXPECT_EQ(Source().Get()->session_token, "t");
  const auto get = [this](const std::string& name) {
    const auto found = set_.find(name);
    return found == set_.end() ? std::string() : found->second;
  };
  EXPECT_EQ(AwsRegion(get), "eu-west-3");
  set_["AWS_REGION"] = "us-west-2";
  EXPECT_EQ(AwsRegion(get), "us-west-2");
  set_["AWS_PROFILE"] = "sso";
  EXPECT_TRUE(absl::StrContains(Source().Get().status().message(), "sso_session"));
  set_["AWS_PROFILE"] = "none";
  EXPECT_TRUE(absl::StrContains(Source().Get().status().message(), "AWS_PROFILE names none"));
}

TEST_F(AwsCredentialsTest, WebIdentityIsExchangedAndRenewed) {
  std::string last_body;
  int served = 0;
  ScriptedServer server([&](const ScriptedRequest& request) {
    last_body = request.body;
    ++served;
    return ScriptedReply{
        200,
        {},
        absl::StrCat("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>"
                     "<Credentials><AccessKeyId>KEY",
                     served,
                     "</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
                     "<SessionToken>T</SessionToken><Expiration>",
                     InAnHour(),
                     "</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                     "</AssumeRoleWithWebIdentityResponse>")};
  });
  set_["AWS_WEB_IDENTITY_TOKEN_FILE"] = File("token", "one.two\n");
  set_["AWS_ENDPOINT_URL_STS"] = server.url();
  EXPECT_TRUE(absl::StrContains(Source().Get().status().message(), "AWS_ROLE_ARN"));
  set_["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
  AwsCredentialsSource source = Source();
  EXPECT_EQ(source.Get()->access_key_id, "KEY1");
  EXPECT_TRUE(absl::StrContains(last_body, "WebIdentityToken=one.two")) << last_body;
  EXPECT_TRUE(absl::StrContains(last_body, "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"));
  clock_.Advance(absl::Minutes(54));
  EXPECT_EQ(source.Get()->access_key_id, "KEY1");
  // Less than five minutes are left.
  clock_.Advance(absl::Minutes(2));
  File("token", "three");
  EXPECT_EQ(source.Get()->access_key_id, "KEY2");
  EXPECT_TRUE(absl::StrContains(last_body, "WebIdentityToken=three")) << "the file is read anew";
  // The server knows better.
  source.Reject(*source.Get());
  EXPECT_EQ(source.Get()->access_key_id, "KEY3");
}

TEST_F(AwsCredentialsTest, AFailedRenewalKeepsWhatStillHolds) {
  bool broken = false;
  int served = 0;
  ScriptedServer server([&](const ScriptedRequest& request) {
    EXPECT_EQ(request.headers.at("authorization"), "secret");
    return broken ? ScriptedReply{500, {}, ""} : ScriptedReply{200, {}, Json(++served)};
  });
  set_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url() + "/creds";
  set_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = File("token", "secret\n");
  AwsCredentialsSource source = Source();
  EXPECT_EQ(source.Get()->access_key_id, "KEY1");
  clock_.Advance(absl::Minutes(56));
  broken = true;
  EXPECT_EQ(source.Get()->access_key_id, "KEY1");
  clock_.Advance(absl::Minutes(5));
  EXPECT_FALSE(source.Get().ok()) << "expired";
  broken = false;
  EXPECT_EQ(source.Get()->access_key_id, "KEY2");
}

TEST_F(AwsCredentialsTest, ContainerCredentialsAreNotAskedForFarAwayInPlainText) {
  set_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://example.com/creds";
  EXPECT_TRUE(absl::StrContains(Source().Get().status().message(), "https"));
}

TEST_F(AwsCredentialsTest, InstanceMetadataOfVersionTwo) {
  ScriptedServer server([&](const ScriptedRequest& request) {
    if (request.target == "/latest/api/token") {
      return request.method == "PUT" &&
                     request.headers.count("x-aws-ec2-metadata-token-ttl-seconds")
                 ? ScriptedReply{200, {}, "session"}
                 : ScriptedReply{400, {}, ""};
    }
    const auto token = request.headers.find("x-aws-ec2-metadata-token");
    if (token == request.headers.end() || token->second != "session") {
      return ScriptedReply{401, {}, ""};
    }
    const std::string base = "/latest/meta-data/iam/security-credentials/";
    if (request.target == base) return ScriptedReply{200, {}, "the-role"};
    if (request.target == base + "the-role") return ScriptedReply{200, {}, Json(7)};
    return ScriptedReply{404, {}, ""};
  });
  set_.erase("AWS_EC2_METADATA_DISABLED");
  set_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.url();
  const auto credentials = Source().Get();
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->access_key_id, "KEY7");
  EXPECT_EQ(credentials->expires, clock_.UnixNow() + absl::Hours(1));
}

}  // namespace
}  // namespace navit
