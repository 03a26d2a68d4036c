#include <atomic>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/object_store/object_reader.h"
#include "common/object_store/object_store.h"
#include "common/object_store/testing/scripted_server.h"
#include "common/stop_flag.h"
#include "gtest/gtest.h"

namespace navit {
namespace {

using testing::ScriptedReply;
using testing::ScriptedRequest;
using testing::ScriptedServer;
using testing::ServeObject;

class Counts : public ObjectStoreObserver {
 public:
  void Request(absl::string_view scheme, absl::string_view code, absl::Duration) override {
    absl::MutexLock lock(&mutex);
    ++requests[absl::StrCat(scheme, " ", code)];
  }
  void Retry(absl::string_view reason, absl::Duration delay) override {
    absl::MutexLock lock(&mutex);
    ++retries[std::string(reason)];
    slept += delay;
  }
  absl::Mutex mutex;
  std::map<std::string, int> requests;
  std::map<std::string, int> retries;
  absl::Duration slept;
};

std::string Pattern(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 31 + (i >> 8));
  return text;
}

class HttpStoreTest : public ::testing::Test {
 protected:
  HttpStoreTest() {
    ObjectStoreOptions options;
    options.observer = &counts_;
    options.backoff.initial = absl::Milliseconds(1);
    options.backoff.max = absl::Milliseconds(4);
    options.retry_deadline = absl::Seconds(20);
    options_ = options;
    store_ = MakeObjectStore(options);
  }
  absl::StatusOr<std::string> Read(const std::string& url, uint64_t offset, uint64_t bytes,
                                   const std::string& validator = "") {
    std::string out;
    const auto info = store_->Read(url, offset, bytes, validator, &out);
    if (!info.ok()) return info.status();
    return out;
  }
  Counts counts_;
  ObjectStoreOptions options_;
  std::shared_ptr<ObjectStore> store_;
  const std::string object_ = Pattern(100000);
};

TEST_F(HttpStoreTest, RangesOverOneConnection) {
  ScriptedServer server(
      [&](const auto& request) { return ServeObject(request, object_, "\"1\""); });
  const std::string url = server.url() + "/x.tar";
  const auto info = store_->Stat(url);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->bytes, object_.size());
  EXPECT_EQ(info->validator, "\"1\"");
  for (const auto& [offset, bytes] :
       {std::pair<uint64_t, uint64_t>{0, 1}, {1, 5000}, {99990, 100}, {99999, 1}}) {
    const auto read = Read(url, offset, bytes, info->validator);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, object_.substr(offset, bytes));
  }
  EXPECT_TRUE(absl::IsOutOfRange(Read(url, object_.size(), 1).status()));
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(counts_.requests["http 206"], 4);
}

// Each kind of fault twice, then the reply.
TEST_F(HttpStoreTest, TransientFaultsAreRepeatedAndCounted) {
  const std::map<std::string, ScriptedReply> faults = {
      {"slow_down", {503, {"Retry-After: 1"}, "<Error><Code>SlowDown</Code></Error>"}},
      {"server_error", {500, {}, "oops"}},
      {"short_body", {206, {"Content-Range: bytes 10-19/100000"}, "abc", 7}},
      {"connection", {206, {"Content-Range: bytes 10-19/100000"}, "abc", 7, false, true}},
  };
  for (const auto& [reason, fault] : faults) {
    std::atomic<int> left{2};
    ScriptedServer server([&, fault = fault](const auto& request) {
      return left-- > 0 ? fault : ServeObject(request, object_, "\"1\"");
    });
    const auto read = Read(server.url() + "/x", 10, 10);
    ASSERT_TRUE(read.ok()) << reason << ": " << read.status();
    EXPECT_EQ(*read, object_.substr(10, 10)) << reason;
    EXPECT_EQ(counts_.retries[reason], 2) << reason;
    EXPECT_EQ(server.requests(), 3) << reason;
  }
  EXPECT_GE(counts_.slept, absl::Seconds(2)) << "Retry-After was passed over";
}

TEST_F(HttpStoreTest, GivesUpAtTheDeadlineAndSaysWhatHappened) {
  options_.retry_deadline = absl::Milliseconds(200);
  store_ = MakeObjectStore(options_);
  ScriptedServer server([](const auto&) { return ScriptedReply{502, {}, ""}; });
  const absl::Status status = Read(server.url() + "/x?Signature=secret", 0, 1).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), server.url() + "/x: HTTP 502")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "attempts in")) << status;
  EXPECT_FALSE(absl::StrContains(status.message(), "secret")) << status;
  EXPECT_GT(server.requests(), 3);
  // A Retry-After beyond the deadline is not waited for.
  ScriptedServer busy([](const auto&) { return ScriptedReply{503, {"Retry-After: 100"}, ""}; });
  EXPECT_TRUE(absl::IsUnavailable(Read(busy.url() + "/x", 0, 1).status()));
  EXPECT_EQ(busy.requests(), 1);
}

TEST_F(HttpStoreTest, AStopDuringAWaitEndsTheRequests) {
  // Stops where a wait is announced, before it begins.
  class StopAtRetry : public ObjectStoreObserver {
   public:
    void Request(absl::string_view, absl::string_view, absl::Duration) override {}
    void Retry(absl::string_view, absl::Duration) override { stop.Stop(); }
    StopFlag stop;
  } observer;
  options_.observer = &observer;
  options_.stop = &observer.stop;
  store_ = MakeObjectStore(options_);
  ScriptedServer server([](const auto&) { return ScriptedReply{503, {}, ""}; });
  EXPECT_TRUE(absl::IsUnavailable(Read(server.url() + "/x", 0, 1).status()));
  EXPECT_EQ(server.requests(), 1);
}

TEST_F(HttpStoreTest, WhatCannotChangeIsNotRepeated) {
  int status = 404;
  ScriptedServer server([&](const auto&) { return ScriptedReply{status, {}, ""}; });
  EXPECT_TRUE(absl::IsNotFound(Read(server.url() + "/x", 0, 1).status()));
  status = 403;
  EXPECT_TRUE(absl::IsPermissionDenied(Read(server.url() + "/x", 0, 1).status()));
  status = 200;
  const absl::Status whole = Read(server.url() + "/x", 0, 1).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(whole)) << whole;
  EXPECT_TRUE(absl::StrContains(whole.message(), "range")) << whole;
  EXPECT_EQ(server.requests(), 3);
}

TEST_F(HttpStoreTest, AServerWithoutRangesCannotFillTheMemory) {
  ScriptedServer server([&](const auto&) { return ScriptedReply{200, {}, object_}; });
  const absl::Status whole = Read(server.url() + "/x", 0, 10).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(whole)) << whole;
}

TEST_F(HttpStoreTest, AChangedObjectIsNoticed) {
  std::string tag = "\"1\"";
  bool honours_if_match = true;
  ScriptedServer server([&](ScriptedRequest request) {
    if (!honours_if_match) request.headers.erase("if-match");
    return ServeObject(request, object_, tag);
  });
  tag = "\"2\"";
  for (const bool honours : {true, false}) {
    honours_if_match = honours;
    const absl::Status changed = Read(server.url() + "/x", 0, 1, "\"1\"").status();
    EXPECT_TRUE(absl::IsFailedPrecondition(changed)) << changed;
    EXPECT_TRUE(absl::StrContains(changed.message(), "changed")) << changed;
  }
}

TEST_F(HttpStoreTest, RedirectsAreFollowed) {
  ScriptedServer target(
      [&](const auto& request) { return ServeObject(request, object_, "\"1\""); });
  ScriptedServer server([&](const auto&) {
    return ScriptedReply{302, {"Location: " + target.url() + "/y"}, ""};
  });
  EXPECT_EQ(*Read(server.url() + "/x", 3, 4), object_.substr(3, 4));
}

TEST_F(HttpStoreTest, HttpIsNeitherListedNorWritten) {
  EXPECT_TRUE(absl::IsUnimplemented(store_->Glob("http://h/*.tar").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(store_->Write("http://h/x", "")));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Stat("ftp://h/x").status()));
  const absl::Status secret = store_->Stat("http://user:word@h/x").status();
  EXPECT_TRUE(absl::IsInvalidArgument(secret));
  EXPECT_FALSE(absl::StrContains(secret.message(), "word")) << secret;
}

TEST_F(HttpStoreTest, ReaderGoesThroughAnObjectOfSeveralPieces) {
  const std::string large = Pattern(2 * ObjectReader::kPieceBytes + 12345);
  std::atomic<int> count{0};
  std::atomic<bool> change{false};
  ScriptedServer server([&](const auto& request) {
    if (++count % 3 == 0) return ScriptedReply{500, {}, ""};
    return ServeObject(request, large, change && count > 2 ? "\"2\"" : "\"1\"");
  });
  const auto read = [&]() -> absl::StatusOr<std::string> {
    auto reader = ObjectReader::Open(store_.get(), server.url() + "/x");
    if (!reader.ok()) return reader.status();
    std::string all;
    while (true) {
      const auto piece = (*reader)->Next();
      if (!piece.ok()) return piece.status();
      if (piece->empty()) return all;
      all.append(piece->data(), piece->size());
    }
  };
  const auto all = read();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(*all == large);
  count = 0;
  change = true;
  EXPECT_TRUE(absl::IsFailedPrecondition(read().status()));
}

TEST(FileStore, ReadsWritesListsAndNoticesChanges) {
  const std::string folder = ::testing::TempDir() + "/files/deep";
  const std::string name = folder + "/x.bin";
  const auto store = MakeObjectStore();
  ASSERT_TRUE(store->Write(name, "0123456789").ok());
  const auto info = store->Stat(name);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->bytes, 10u);
  EXPECT_FALSE(info->settled) << "written just now";
  std::string out;
  ASSERT_TRUE(store->Read(name, 8, 10, info->validator, &out).ok());
  EXPECT_EQ(out, "89");
  EXPECT_TRUE(absl::IsOutOfRange(store->Read(name, 10, 1, "", &out).status()));
  EXPECT_EQ(*store->Glob(folder + "/*.bin"), std::vector<std::string>{name});
  ASSERT_TRUE(store->Write(name, "0123456780").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Read(name, 0, 1, info->validator, &out).status()));
  ASSERT_TRUE(store->Remove(name).ok());
  EXPECT_TRUE(absl::IsNotFound(store->Stat(name).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Stat(folder).status()));
}

}  // namespace
}  // namespace navit
