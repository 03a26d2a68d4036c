#include "common/frame_bytes.h"

#include <cstdlib>
#include <utility>

namespace navit {
namespace {

void AppendVarint(uint64_t value, std::string* to) {
  for (; value >= 0x80; value >>= 7) to->push_back(static_cast<char>(value | 0x80));
  to->push_back(static_cast<char>(value));
}

uint64_t VarintBytes(uint64_t value) {
  uint64_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

}  // namespace

uint64_t FrameBytes(const v1::PackHeader& header) {
  // What MakeFrame writes before the payload; protobuf leaves an empty payload out.
  const uint64_t header_bytes = header.ByteSizeLong();
  uint64_t bytes = 1 + VarintBytes(header_bytes) + header_bytes;
  const uint64_t payload_bytes = header.payload_bytes();
  if (payload_bytes > 0) bytes += 1 + VarintBytes(payload_bytes) + payload_bytes;
  return bytes;
}

grpc::ByteBuffer MakeFrame(const v1::PackHeader& header, const grpc::Slice& payload) {
  // Field 1 is the header, field 2 the payload; both are length-delimited.
  std::string front("\x0a");
  AppendVarint(header.ByteSizeLong(), &front);
  header.AppendToString(&front);
  front.push_back('\x12');
  AppendVarint(payload.size(), &front);
  const grpc::Slice slices[] = {grpc::Slice(front), payload};
  return grpc::ByteBuffer(slices, 2);
}

void FrameMessage::Add(const grpc::ByteBuffer& frame) {
  // Field 4, length-delimited.
  std::string front("\x22");
  AppendVarint(frame.Length(), &front);
  slices_.emplace_back(front);
  bytes_ += front.size();
  AddFields(frame);
}

void FrameMessage::AddFields(const grpc::ByteBuffer& fields) {
  std::vector<grpc::Slice> slices;
  if (!fields.Dump(&slices).ok()) std::abort();  // Only a buffer that was never filled fails.
  for (grpc::Slice& slice : slices) {
    bytes_ += slice.size();
    slices_.push_back(std::move(slice));
  }
}

grpc::ByteBuffer FrameMessage::Take() {
  grpc::ByteBuffer message(slices_.data(), slices_.size());
  slices_.clear();
  bytes_ = 0;
  return message;
}

grpc::Slice OwningSlice(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  return grpc::Slice(
      owned->data(), owned->size(), [](void* it) { delete static_cast<std::string*>(it); }, owned);
}

}  // namespace navit
