#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/batches.pb.h"
#include "server/relay/frame.h"
#include "server/relay/pack_bytes.h"
#include "server/relay/send_window.h"

namespace navit {
namespace {

v1::Frame MakeFrame(const std::string& payload) {
  v1::Frame frame;
  frame.mutable_header()->set_job("j");
  frame.mutable_header()->set_window(300);
  frame.mutable_header()->set_content_hash(0x1122334455667788);
  frame.mutable_header()->set_payload_bytes(payload.size());
  frame.set_payload(payload);
  return frame;
}

// `bytes` in slices of `slice_bytes`.
grpc::ByteBuffer Buffer(const std::string& bytes, size_t slice_bytes = 1 << 20) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += slice_bytes) {
    slices.emplace_back(bytes.substr(at, slice_bytes));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  buffer.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

TEST(ReadFrameTest, AnySlicesAndPayloads) {
  for (const size_t payload_bytes : {0, 1, 127, 128, 100000}) {
    const v1::Frame frame = MakeFrame(std::string(payload_bytes, 'p'));
    for (const size_t slice_bytes : {1, 2, 3, 7, 16, 1000000}) {
      const auto header = ReadFrame(Buffer(frame.SerializeAsString(), slice_bytes));
      ASSERT_TRUE(header.ok()) << header.status();
      EXPECT_EQ(header->header.SerializeAsString(), frame.header().SerializeAsString());
    }
  }
}

TEST(ReadFrameTest, AReplyOfPullIsTheSameFrame) {
  const v1::Frame frame = MakeFrame("payload");
  v1::PullReply reply;
  ASSERT_TRUE(reply.ParseFromString(frame.SerializeAsString()));
  EXPECT_EQ(reply.payload(), "payload");
  EXPECT_EQ(reply.header().window(), 300u);
  v1::PushRequest request;
  ASSERT_TRUE(request.ParseFromString(frame.SerializeAsString()));
  EXPECT_EQ(request.payload(), "payload");
}

TEST(ReadFrameTest, EveryCutIsRefused) {
  const std::string bytes = MakeFrame("payload").SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto header = ReadFrame(Buffer(bytes.substr(0, size)));
    EXPECT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(ReadFrameTest, WhatIsNotAFrameIsRefused) {
  const std::string good = MakeFrame("payload").SerializeAsString();
  const std::vector<std::string> bad = {
      "no frame at all",
      good + "x",                                     // Bytes after the payload.
      good + MakeFrame("again").SerializeAsString(),  // Two frames in one.
      std::string("\x12\x01p", 3),                    // Payload first.
      std::string("\x0a\x02\xff\xff", 4),             // Not a header.
      std::string(20, '\xff'),                        // An endless number.
  };
  for (const std::string& bytes : bad) {
    EXPECT_EQ(ReadFrame(Buffer(bytes)).status().code(), absl::StatusCode::kInvalidArgument);
  }
  v1::Frame liar = MakeFrame("payload");
  liar.mutable_header()->set_payload_bytes(8);
  EXPECT_EQ(ReadFrame(Buffer(liar.SerializeAsString())).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ReadFrameTest, HugeHeaderIsRefusedBeforeItIsCopied) {
  // Field 1, length 2^40.
  const std::string bytes("\x0a\x80\x80\x80\x80\x80\x20", 7);
  EXPECT_EQ(ReadFrame(Buffer(bytes)).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(ReadFramesTest, AMessageOfOneOrOfMany) {
  const v1::Frame first = MakeFrame("first payload");
  const v1::Frame second = MakeFrame(std::string(1000, '2'));
  v1::PushRequest list;
  *list.add_frames() = first;
  *list.add_frames() = second;
  *list.add_frames() = MakeFrame("");
  for (const size_t slice_bytes : {1, 3, 64, 1000000}) {
    const auto one = ReadFrames(Buffer(first.SerializeAsString(), slice_bytes));
    ASSERT_TRUE(one.ok()) << one.status();
    ASSERT_EQ(one->size(), 1u);
    EXPECT_EQ(Bytes(one->front().bytes), first.SerializeAsString());
    const auto frames = ReadFrames(Buffer(list.SerializeAsString(), slice_bytes));
    ASSERT_TRUE(frames.ok()) << frames.status();
    ASSERT_EQ(frames->size(), 3u);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(Bytes((*frames)[i].bytes), list.frames(i).SerializeAsString());
      EXPECT_EQ((*frames)[i].header.payload_bytes(), list.frames(i).payload().size());
    }
  }
}

TEST(ReadFramesTest, WhatIsNotFramesIsRefused) {
  v1::PushRequest list;
  *list.add_frames() = MakeFrame("payload");
  const std::string good = list.SerializeAsString();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ReadFrames(Buffer(good.substr(0, size))).ok()) << size;
  }
  EXPECT_FALSE(ReadFrames(Buffer(good + MakeFrame("one").SerializeAsString())).ok());
  EXPECT_FALSE(ReadFrames(Buffer(MakeFrame("one").SerializeAsString() + good)).ok());
}

TEST(PackBytesTest, CountsWhatItHolds) {
  PackBytes packs;
  const PackKey a{"j", 1, v1::SPLIT_TRAIN, 0, 0};
  const PackKey b{"j", 2, v1::SPLIT_TRAIN, 0, 0};
  packs.Put(a, Buffer("12345", 2));
  packs.Put(b, Buffer(std::string(100000, 'b'), 999));
  EXPECT_EQ(packs.bytes(), 100005u);
  EXPECT_EQ(Bytes(*packs.Find(a)), "12345");
  EXPECT_EQ(Bytes(*packs.Find(b)), std::string(100000, 'b'));
  packs.Put(a, Buffer("123"));
  EXPECT_EQ(packs.bytes(), 100003u);
  packs.Drop(b);
  packs.Drop(b);
  EXPECT_EQ(packs.bytes(), 3u);
  EXPECT_EQ(packs.packs(), 1u);
  EXPECT_EQ(packs.Find(b), nullptr);
}

TEST(SendWindowTest, StepsGoOutWhileTheyFit) {
  SendWindow window;
  EXPECT_FALSE(window.MaySend(0));
  window.AddCredit(100);
  EXPECT_TRUE(window.MaySend(60));
  window.OnSent(60);
  EXPECT_FALSE(window.MaySend(41));
  EXPECT_TRUE(window.MaySend(40));
  window.AddCredit(60);
  EXPECT_TRUE(window.MaySend(100));
}

TEST(SendWindowTest, OversizedStepWaitsUntilNothingIsOutstanding) {
  SendWindow window;
  window.AddCredit(100);
  window.OnSent(50);
  EXPECT_FALSE(window.MaySend(1000));
  window.AddCredit(49);
  EXPECT_FALSE(window.MaySend(1000));
  window.AddCredit(1);
  EXPECT_TRUE(window.MaySend(1000));
  window.OnSent(1000);
  EXPECT_FALSE(window.MaySend(1));
  window.AddCredit(1000);
  EXPECT_TRUE(window.MaySend(100));
}

TEST(SendWindowTest, HugeCreditsSaturate) {
  SendWindow window;
  window.AddCredit(UINT64_MAX);
  window.AddCredit(UINT64_MAX);
  window.OnSent(5);
  EXPECT_TRUE(window.MaySend(uint64_t{1} << 60));
}

}  // namespace
}  // namespace navit
