#include "packer/agent/pack_store.h"

#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

namespace navit {
namespace {

grpc::ByteBuffer Frame(size_t bytes) {
  const grpc::Slice slice(std::string(bytes, 'f'));
  return grpc::ByteBuffer(&slice, 1);
}

v1::PackHeader Header(uint64_t lease, uint32_t index) {
  v1::PackHeader header;
  header.set_lease_epoch(lease);
  header.set_index(index);
  return header;
}

TEST(PackStoreTest, GivesToWhoHasTheTokenOfTheLease) {
  PackStore store(1000);
  const std::string first = *store.Keep(Header(1, 0), Frame(10));
  const std::string second = *store.Keep(Header(2, 0), Frame(20));
  EXPECT_EQ(first.size(), 16u);
  EXPECT_NE(first, second);
  EXPECT_EQ(store.Find(1, 0, first)->Length(), 10u);
  EXPECT_EQ(store.Find(1, 0, second).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(store.Find(1, 0, "").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(store.Find(1, 1, first).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store.Find(3, 0, first).status().code(), absl::StatusCode::kNotFound);
}

TEST(PackStoreTest, IsBoundedAndCountsWhatItHolds) {
  uint64_t bytes = 0;
  PackStore store(100, [&](uint64_t now) { bytes = now; });
  EXPECT_TRUE(store.Keep(Header(1, 0), Frame(60)));
  EXPECT_FALSE(store.Keep(Header(1, 1), Frame(60)));
  EXPECT_TRUE(store.Keep(Header(1, 1), Frame(40)));
  EXPECT_EQ(bytes, 100u);
  store.Drop(1, 0);
  store.Drop(1, 0);
  EXPECT_EQ(bytes, 40u);
  EXPECT_TRUE(store.Keep(Header(1, 1), Frame(50)));  // Made again.
  EXPECT_EQ(bytes, 50u);
  EXPECT_TRUE(store.Keep(Header(2, 0), Frame(50)));
  store.DropLease(1);
  store.DropLease(1);
  EXPECT_EQ(bytes, 50u);
  store.Clear();
  EXPECT_EQ(bytes, 0u);
}

}  // namespace
}  // namespace navit
