// Against moto, a real S3-speaking server, and scripted replies for what it does not do on demand.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/object_store/object_store.h"
#include "common/object_store/testing/scripted_server.h"
#include "gtest/gtest.h"

namespace navit {
namespace {

using testing::ScriptedReply;
using testing::ScriptedRequest;
using testing::ScriptedServer;

std::map<std::string, std::string> Keys() {
  return {{"AWS_ACCESS_KEY_ID", "test"},
          {"AWS_SECRET_ACCESS_KEY", "test"},
          {"AWS_EC2_METADATA_DISABLED", "true"}};
}

class Retries : public ObjectStoreObserver {
 public:
  void Request(absl::string_view, absl::string_view, absl::Duration) override {}
  void Retry(absl::string_view reason, absl::Duration) override {
    absl::MutexLock lock(&mutex);
    ++count[std::string(reason)];
  }
  absl::Mutex mutex;
  std::map<std::string, int> count;
};

std::shared_ptr<ObjectStore> Store(
    std::map<std::string, std::string> environment, ObjectStoreObserver* observer = nullptr,
    ObjectStoreOptions::Addressing addressing = ObjectStoreOptions::Addressing::kAutomatic) {
  ObjectStoreOptions options;
  options.environment = [environment](const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  options.backoff.initial = absl::Milliseconds(1);
  options.backoff.max = absl::Milliseconds(4);
  options.retry_deadline = absl::Seconds(20);
  options.observer = observer;
  options.addressing = addressing;
  return MakeObjectStore(options);
}

TEST(S3Requests, ASlowDownStormIsSurvivedAndCounted) {
  int left = 25;
  ScriptedServer server([&](const ScriptedRequest& request) {
    EXPECT_EQ(request.headers.count("authorization"), 1u);
    if (left-- > 0) {
      return ScriptedReply{
          503, {}, "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"};
    }
    return testing::ServeObject(request, "0123456789", "\"x\"");
  });
  auto environment = Keys();
  environment["AWS_ENDPOINT_URL_S3"] = server.url();
  Retries retries;
  std::string out;
  ASSERT_TRUE(Store(environment, &retries)->Read("s3://b/k", 2, 3, "", &out).ok());
  EXPECT_EQ(out, "234");
  EXPECT_EQ(retries.count["slow_down"], 25);
}

TEST(S3Requests, ABucketOfAnotherRegionIsAskedThere) {
  std::vector<std::string> regions;
  ScriptedServer server([&](const ScriptedRequest& request) {
    const std::string& words = request.headers.at("authorization");
    const bool there = absl::StrContains(words, "/eu-west-1/s3/");
    regions.push_back(there ? "there" : "elsewhere");
    return there ? testing::ServeObject(request, "0123456789", "\"x\"")
                 : ScriptedReply{301,
                                 {"x-amz-bucket-region: eu-west-1"},
                                 "<Error><Code>PermanentRedirect</Code></Error>"};
  });
  auto environment = Keys();
  environment["AWS_ENDPOINT_URL"] = server.url();
  const auto store = Store(environment);
  EXPECT_TRUE(store->Stat("s3://b/k").ok());
  EXPECT_TRUE(store->Stat("s3://b/k").ok());
  EXPECT_EQ(regions, (std::vector<std::string>{"elsewhere", "there", "there"}));
}

TEST(S3Requests, ListsGoOnAndKeysAreDecoded) {
  ScriptedServer server([&](const ScriptedRequest& request) {
    EXPECT_TRUE(absl::StrContains(request.target, "prefix=p%2Fx%20"));
    const bool second = absl::StrContains(request.target, "continuation-token=a%2Fb%3D");
    return ScriptedReply{
        200,
        {},
        absl::StrCat("<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>",
                     second ? "false" : "true", "</IsTruncated>",
                     second ? "" : "<NextContinuationToken>a/b=</NextContinuationToken>",
                     "<Contents><Key>p/x+", second ? "1" : "2%2B",
                     ".tar</Key></Contents></ListBucketResult>")};
  });
  auto environment = Keys();
  environment["AWS_ENDPOINT_URL"] = server.url();
  const auto listed = Store(environment)->Glob("s3://b/p/x *.tar");
  ASSERT_TRUE(listed.ok()) << listed.status();
  EXPECT_EQ(*listed, (std::vector<std::string>{"s3://b/p/x 1.tar", "s3://b/p/x 2+.tar"}));
  EXPECT_EQ(server.requests(), 2);
}

TEST(S3Requests, WithoutCredentialsTheErrorNamesTheObjectAndWhatWasTried) {
  const absl::Status status =
      Store({{"AWS_EC2_METADATA_DISABLED", "true"}})->Stat("s3://b/k").status();
  EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "s3://b/k")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "AWS_ACCESS_KEY_ID")) << status;
}

class MotoTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string log = ::testing::TempDir() + "/moto.log";
    pid_ = fork();
    if (pid_ == 0) {
      const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
      dup2(fd, STDOUT_FILENO);
      dup2(fd, STDERR_FILENO);
      execl(MOTO_SERVER, MOTO_SERVER, "-H", "127.0.0.1", "-p", "0", nullptr);
      std::perror(MOTO_SERVER);
      _exit(127);
    }
    const std::string mark = "Running on ";
    for (int i = 0; i < 600 && url_.empty(); ++i) {
      usleep(100000);
      ASSERT_EQ(waitpid(pid_, nullptr, WNOHANG), 0) << "moto_server ended; see " << log;
      std::ifstream file(log);
      for (std::string line; std::getline(file, line);) {
        const size_t at = line.find(mark);
        if (at != std::string::npos) url_ = line.substr(at + mark.size());
      }
    }
    ASSERT_FALSE(url_.empty());
  }
  static void TearDownTestSuite() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  MotoTest() {
    environment_ = Keys();
    environment_["AWS_ENDPOINT_URL_S3"] = url_;
  }
  // A bucket is made by a PUT of its name, which no object has.
  void MakeBucket(const std::string& name) {
    const std::string command = absl::StrCat(
        "curl -sf -X PUT -H 'Authorization: AWS4-HMAC-SHA256 "
        "Credential=test/20200101/us-east-1/s3/aws4_request' ",
        url_, "/", name, " > /dev/null");
    ASSERT_EQ(std::system(command.c_str()), 0);
  }

  static pid_t pid_;
  static std::string url_;
  std::map<std::string, std::string> environment_;
};
pid_t MotoTest::pid_ = 0;
std::string MotoTest::url_;

TEST_F(MotoTest, WritesReadsListsRemoves) {
  MakeBucket("shards");
  const auto store = Store(environment_);
  // Names that must be encoded, and one that only looks encoded.
  const std::vector<std::string> names = {"s3://shards/a/x-0.tar", "s3://shards/a/x-1.tar",
                                          "s3://shards/a/b c+d%41~ü.tar",
                                          "s3://shards/a/deep/x-2.tar", "s3://shards/y.txt"};
  for (const std::string& name : names) {
    ASSERT_TRUE(store->Write(name, "the bytes of " + name).ok()) << name;
    const auto info = store->Stat(name);
    ASSERT_TRUE(info.ok()) << info.status();
    std::string out;
    ASSERT_TRUE(store->Read(name, 4, 1000, info->validator, &out).ok()) << name;
    EXPECT_EQ(out, "bytes of " + name);
    EXPECT_EQ(info->bytes, out.size() + 4);
    EXPECT_FALSE(info->validator.empty());
  }
  EXPECT_EQ(*store->Glob("s3://shards/a/x-*.tar"), (std::vector<std::string>{names[0], names[1]}));
  EXPECT_EQ(*store->Glob("s3://shards/a/*.tar"),
            (std::vector<std::string>{names[2], names[0], names[1]}));
  EXPECT_EQ(*store->Glob("s3://shards/*/*/x-[0-9].tar"), std::vector<std::string>{names[3]});
  EXPECT_TRUE(store->Glob("s3://shards/none*")->empty());

  const auto before = store->Stat(names[0]);
  ASSERT_TRUE(store->Write(names[0], "other").ok());
  std::string out;
  EXPECT_TRUE(
      absl::IsFailedPrecondition(store->Read(names[0], 0, 3, before->validator, &out).status()));
  EXPECT_TRUE(absl::IsOutOfRange(store->Read(names[0], 5, 3, "", &out).status()));
  ASSERT_TRUE(store->Remove(names[0]).ok());
  ASSERT_TRUE(store->Remove(names[0]).ok());
  EXPECT_TRUE(absl::IsNotFound(store->Stat(names[0]).status()));
}

TEST_F(MotoTest, ListsOfSeveralPages) {
  MakeBucket("many");
  const auto store = Store(environment_);
  // A page holds at most a thousand keys.
  std::vector<std::string> names;
  for (int i = 0; i < 1003; ++i) {
    names.push_back(absl::StrCat("s3://many/", i + 10000, ".tar"));
    ASSERT_TRUE(store->Write(names.back(), "").ok());
  }
  const auto listed = store->Glob("s3://many/*.tar");
  ASSERT_TRUE(listed.ok()) << listed.status();
  EXPECT_EQ(*listed, names);
}

TEST_F(MotoTest, AMissingBucketIsNamed) {
  const auto store = Store(environment_);
  for (const absl::Status& status :
       {store->Glob("s3://nowhere/*.tar").status(), store->Stat("s3://nowhere/x").status(),
        store->Write("s3://nowhere/x", "y")}) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "s3://nowhere/")) << status;
  }
}

TEST_F(MotoTest, TheBucketMayStandInTheHostName) {
  MakeBucket("virtual");
  // libcurl resolves every name below localhost to loopback.
  environment_["AWS_ENDPOINT_URL_S3"] =
      absl::StrCat("http://localhost", url_.substr(url_.rfind(':')));
  const auto store = Store(environment_, nullptr, ObjectStoreOptions::Addressing::kHost);
  const absl::Status written = store->Write("s3://virtual/k", "v");
  ASSERT_TRUE(written.ok()) << written;
  environment_["AWS_ENDPOINT_URL_S3"] = url_;
  EXPECT_EQ(*ReadObject(Store(environment_).get(), "s3://virtual/k", 10), "v");
}

}  // namespace
}  // namespace navit
