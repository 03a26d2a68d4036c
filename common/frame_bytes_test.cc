#include "common/frame_bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace navit {
namespace {

TEST(FrameBytesTest, AFrameIsWhatProtobufWrites) {
  for (const size_t payload_bytes : {1, 127, 128, 100000}) {
    v1::Frame frame;
    frame.mutable_header()->set_job("j");
    frame.mutable_header()->set_window(300);
    frame.mutable_header()->set_payload_bytes(payload_bytes);
    frame.set_payload(std::string(payload_bytes, 'p'));
    const grpc::ByteBuffer bytes = MakeFrame(frame.header(), OwningSlice(frame.payload()));
    std::vector<grpc::Slice> slices;
    ASSERT_TRUE(bytes.Dump(&slices).ok());
    std::string flat;
    for (const grpc::Slice& slice : slices) {
      flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    EXPECT_EQ(flat, frame.SerializeAsString());
  }
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
