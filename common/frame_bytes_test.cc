#include "common/frame_bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/batches.pb.h"

namespace navit {
namespace {

std::string Flat(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(bytes.Dump(&slices).ok());
  std::string flat;
  for (const grpc::Slice& slice : slices) {
    flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return flat;
}

TEST(FrameBytesTest, AFrameIsWhatProtobufWrites) {
  for (const size_t payload_bytes : {1, 127, 128, 100000}) {
    v1::Frame frame;
    frame.mutable_header()->set_job("j");
    frame.mutable_header()->set_window(300);
    frame.mutable_header()->set_payload_bytes(payload_bytes);
    frame.set_payload(std::string(payload_bytes, 'p'));
    const grpc::ByteBuffer bytes = MakeFrame(frame.header(), OwningSlice(frame.payload()));
    EXPECT_EQ(Flat(bytes), frame.SerializeAsString());
  }
}

TEST(FrameMessageTest, FramesBehindOtherFieldsAreWhatProtobufWrites) {
  v1::PullReply reply;
  reply.mutable_deal()->set_step(7);
  FrameMessage message;
  EXPECT_TRUE(message.empty());
  message.AddFields(ToBytes(reply));
  for (const size_t payload_bytes : {1, 300, 100000}) {
    v1::Frame* frame = reply.add_frames();
    frame->mutable_header()->set_payload_bytes(payload_bytes);
    frame->set_payload(std::string(payload_bytes, 'p'));
    message.Add(MakeFrame(frame->header(), OwningSlice(frame->payload())));
  }
  EXPECT_EQ(Flat(message.Take()), reply.SerializeAsString());
  EXPECT_TRUE(message.empty());
}

TEST(FrameMessageTest, IsBoundedButForASingleFrame) {
  FrameMessage message;
  EXPECT_TRUE(message.HasRoom(FrameMessage::kMostBytes + 1));
  message.Add(MakeFrame({}, OwningSlice(std::string(1000, 'p'))));
  EXPECT_FALSE(message.HasRoom(FrameMessage::kMostBytes));
  EXPECT_TRUE(message.HasRoom(FrameMessage::kMostBytes - 2000));
}

TEST(FrameBytesTest, AMessageComesBack) {
  v1::PackHeader header;
  header.set_job("job");
  grpc::ByteBuffer bytes = ToBytes(header);
  v1::PackHeader back;
  ASSERT_TRUE(grpc::SerializationTraits<v1::PackHeader>::Deserialize(&bytes, &back).ok());
  EXPECT_EQ(back.job(), "job");
}

}  // namespace
}  // namespace navit
