#include "worker/pack_fetcher.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>
#include <utility>

#include "common/test_certificates.h"
#include "worker/fake_packer.h"
#include "worker/tiny_job.h"

namespace navit {
namespace {

class PackFetcherTest : public testing::Test {
 protected:
  PackFetcherTest() : job_(TinyJob(testing::TempDir())) {
    // The coordinator is not needed.
    client_ = std::make_unique<RunClient>(
        grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()), RunClientOptions());
  }

  v1::PullReply Pack(uint64_t ordinal) const { return TinyPack(job_, ordinal, v1::SPLIT_TRAIN); }
  // Packs 0 to 3 of a step that lie with `packer`.
  std::vector<v1::Frame> Step(FakePacker* packer) const {
    std::vector<v1::Frame> frames;
    for (uint64_t ordinal = 0; ordinal < 4; ++ordinal) {
      frames.push_back(packer->Keep(Pack(ordinal)));
    }
    return frames;
  }
  void ExpectWhole(const std::vector<v1::Frame>& frames) const {
    for (uint64_t ordinal = 0; ordinal < frames.size(); ++ordinal) {
      EXPECT_FALSE(frames[ordinal].has_source()) << ordinal;
      EXPECT_EQ(frames[ordinal].payload(), Pack(ordinal).payload()) << ordinal;
    }
  }
  void ExpectFails(FakePacker* packer, PackFetcher* fetcher) const {
    std::vector<v1::Frame> frames = Step(packer);
    const absl::Status status = fetcher->Fetch(&frames);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_EQ(fetcher->failed(), std::set<std::string>{packer->address()});
  }

  const v1::JobData job_;
  std::unique_ptr<RunClient> client_;
};

TEST_F(PackFetcherTest, PayloadsOfSeveralPackersComeIntoTheirPlaces) {
  FakePacker one;
  FakePacker two;
  std::vector<v1::Frame> frames;
  for (uint64_t ordinal = 0; ordinal < 6; ++ordinal) {
    if (ordinal == 3) {
      v1::Frame& relayed = frames.emplace_back();
      *relayed.mutable_header() = Pack(ordinal).header();
      relayed.set_payload(Pack(ordinal).payload());
    } else {
      frames.push_back((ordinal % 2 == 0 ? one : two).Keep(Pack(ordinal)));
    }
  }
  PackFetcher fetcher(client_.get(), {});
  ASSERT_TRUE(fetcher.Fetch(&frames).ok());
  ExpectWhole(frames);
  EXPECT_TRUE(fetcher.failed().empty());
  EXPECT_EQ(one.requests(), 1u);
  EXPECT_EQ(two.requests(), 1u);
  // The connections serve the next step too; one without sources asks nobody.
  ASSERT_TRUE(fetcher.Fetch(&frames).ok());
  EXPECT_EQ(one.requests(), 1u);
  frames = Step(&one);
  ASSERT_TRUE(fetcher.Fetch(&frames).ok());
  ExpectWhole(frames);
}

TEST_F(PackFetcherTest, OtherBytesThanTheHeaderSaysAreTheFaultOfTheirPacker) {
  for (const auto fault : {FakePackerOptions::kFlipsAByte, FakePackerOptions::kCutsAByte,
                           FakePackerOptions::kLeavesOneOut, FakePackerOptions::kRepeatsOne}) {
    SCOPED_TRACE(fault);
    FakePackerOptions options;
    options.fault = fault;
    FakePacker packer(options);
    PackFetcher fetcher(client_.get(), {});
    ExpectFails(&packer, &fetcher);
  }
}

TEST_F(PackFetcherTest, APackThatIsNotHeldIsTheFaultOfThePacker) {
  FakePacker packer;
  std::vector<v1::Frame> frames = Step(&packer);
  frames[1].mutable_source()->set_token("of another lease");
  PackFetcher fetcher(client_.get(), {});
  EXPECT_EQ(fetcher.Fetch(&frames).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(fetcher.failed().count(packer.address()), 1u);
}

TEST_F(PackFetcherTest, APackerThatDiesInMidFetchIsNamedAndTheOthersAreNot) {
  FakePackerOptions options;
  options.fault = FakePackerOptions::kHangsWithin;
  FakePacker dying(options);
  FakePacker well;
  std::vector<v1::Frame> frames = Step(&dying);
  frames.push_back(well.Keep(Pack(4)));
  std::thread killer([&] {
    dying.WaitUntilHanging();
    dying.Kill();
  });
  PackFetcher fetcher(client_.get(), {});
  const absl::Status status = fetcher.Fetch(&frames);
  killer.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(fetcher.failed(), std::set<std::string>{dying.address()});
  EXPECT_EQ(frames[4].payload(), Pack(4).payload());
  // Nobody listens there any more.
  EXPECT_EQ(fetcher.Fetch(&frames).code(), absl::StatusCode::kUnavailable);
}

TEST_F(PackFetcherTest, APackerThatDoesNotAnswerIsGivenUpAtTheDeadline) {
  for (const auto fault : {FakePackerOptions::kHangs, FakePackerOptions::kHangsWithin}) {
    FakePackerOptions options;
    options.fault = fault;
    FakePacker packer(options);
    PackFetcher fetcher(client_.get(), {.timeout = absl::Milliseconds(200)});
    ExpectFails(&packer, &fetcher);
  }
}

TEST_F(PackFetcherTest, TheEndOfTheRunEndsAFetch) {
  FakePackerOptions options;
  options.fault = FakePackerOptions::kHangs;
  FakePacker packer(options);
  std::thread canceller([&] {
    packer.WaitUntilHanging();
    client_->Cancel();
  });
  PackFetcher fetcher(client_.get(), {.timeout = absl::Hours(1)});
  std::vector<v1::Frame> frames = Step(&packer);
  EXPECT_FALSE(fetcher.Fetch(&frames).ok());
  canceller.join();
}

TEST_F(PackFetcherTest, FetchesOverTlsWithAndWithoutACertificateOfItsOwn) {
  const TestCertificates certificates("packer");
  for (const auto& [server, client] : {std::pair(certificates.mutual(), certificates.mutual()),
                                       std::pair(certificates.server(), certificates.client())}) {
    SCOPED_TRACE(client.certificate.empty() ? "without" : "with");
    FakePacker packer({server});
    PackFetcherOptions options;
    options.channel.tls = client;
    options.channel.tls_server_name = "packer";
    PackFetcher fetcher(client_.get(), options);
    std::vector<v1::Frame> frames = Step(&packer);
    const absl::Status status = fetcher.Fetch(&frames);
    ASSERT_TRUE(status.ok()) << status;
    ExpectWhole(frames);
  }
}

TEST_F(PackFetcherTest, WrongCertificatesOnEitherSideFail) {
  const TestCertificates certificates("packer");
  const TestCertificates others("other");
  struct Case {
    const char* what;
    TlsFiles server;
    TlsFiles client;
    const char* name;
  };
  const Case cases[] = {
      {"no client certificate", certificates.mutual(), certificates.client(), "packer"},
      {"another name", certificates.mutual(), certificates.mutual(), "coordinator"},
      {"another authority", others.server(), certificates.client(), "other"},
      {"no TLS at the server", {}, certificates.client(), "packer"},
      {"no TLS at the client", certificates.server(), {}, ""},
  };
  for (const Case& wrong : cases) {
    SCOPED_TRACE(wrong.what);
    FakePacker packer({wrong.server});
    PackFetcherOptions options;
    options.channel.tls = wrong.client;
    options.channel.tls_server_name = wrong.name;
    PackFetcher fetcher(client_.get(), options);
    ExpectFails(&packer, &fetcher);
    EXPECT_EQ(packer.requests(), 0u);
  }
}

}  // namespace
}  // namespace navit
