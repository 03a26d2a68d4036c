#include "packer/shard_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/object_store/object_reader.h"
#include "gtest/gtest.h"
#include "packer/index_cache.h"
#include "packer/testing/encode.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"

namespace navit {
namespace {

using testing::EncodeJpeg;
using testing::EncodePng;
using testing::EncodeWebp;
using testing::MakePicture;
using testing::TarWriter;

uint64_t Hash(absl::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

class ShardIndexTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::ShardIndex> Build(const std::string& bytes) {
    testing::WriteBytes(shard_, bytes);
    return BuildShardIndex(testing::LocalStore().get(), shard_);
  }
  // The error of a shard, which must be InvalidArgument and name it.
  std::string Refused(const std::string& bytes) {
    const auto index = Build(bytes);
    EXPECT_TRUE(absl::IsInvalidArgument(index.status())) << index.status();
    EXPECT_NE(index.status().message().find(shard_), absl::string_view::npos);
    return std::string(index.status().message());
  }
  const std::string folder_ = testing::NewFolder("index");
  const std::string shard_ = folder_ + "/00000.tar";
};

bool Has(const std::string& text, absl::string_view part) {
  return text.find(std::string(part)) != std::string::npos;
}

TEST_F(ShardIndexTest, GroupsMembersByKeyAndKnowsTheirBytes) {
  const std::string jpeg = EncodeJpeg(MakePicture(40, 30, 1));
  const std::string png = EncodePng(MakePicture(7, 9, 2));
  const std::string webp = EncodeWebp(MakePicture(12, 5, 3), -1);
  for (const auto format : {TarWriter::kUstar, TarWriter::kPax, TarWriter::kGnu}) {
    const std::string tar = TarWriter(format)
                                .AddType('5', "d/")
                                .Add("./d/a.jpg", jpeg)
                                .Add("./d/a.txt", "a caption")
                                .Add("./d/a.seg.png", png)
                                .AddType('2', "d/a.yaml", "")
                                .Add("d/b.PNG", png)
                                .Add("d/b.json", "{}")
                                .Add("README", "no dot")
                                .AddBase256("c.v1.x/c.webp", webp)
                                .Add("c.v1.x/c.cls", "3")
                                .Finish();
    const auto index = Build(tar);
    ASSERT_TRUE(index.ok()) << index.status();
    ASSERT_EQ(index->keys_size(), 3);
    EXPECT_EQ(index->keys(0), "d/a");
    EXPECT_EQ(index->keys(1), "d/b");
    EXPECT_EQ(index->keys(2), "c.v1.x/c");
    EXPECT_EQ(tar.substr(index->image_offsets(0), index->image_bytes(0)), jpeg);
    EXPECT_EQ(tar.substr(index->image_offsets(1), index->image_bytes(1)), png);
    EXPECT_EQ(tar.substr(index->image_offsets(2), index->image_bytes(2)), webp);
    EXPECT_EQ(index->image_hashes(0), Hash(jpeg));
    EXPECT_EQ(index->image_formats(0), v1::ShardIndex::JPEG);
    EXPECT_EQ(index->image_formats(1), v1::ShardIndex::PNG);
    EXPECT_EQ(index->image_formats(2), v1::ShardIndex::WEBP);
    EXPECT_EQ(index->widths(0), 40u);
    EXPECT_EQ(index->heights(0), 30u);
    EXPECT_EQ(index->widths(2), 12u);
    EXPECT_EQ(tar.substr(index->txt_offsets(0), index->txt_bytes(0)), "a caption");
    EXPECT_EQ(index->txt_hashes(0), Hash("a caption"));
    EXPECT_EQ(index->txt_bytes(1), 0u);
    EXPECT_EQ(index->cls_bytes(0), 0u) << "a link is no member";
    EXPECT_EQ(tar.substr(index->json_offsets(1), index->json_bytes(1)), "{}");
    EXPECT_EQ(tar.substr(index->cls_offsets(2), index->cls_bytes(2)), "3");
    EXPECT_EQ(index->shard_bytes(), tar.size());
    EXPECT_EQ(index->shard_hash(), Hash(tar));
  }
}

TEST_F(ShardIndexTest, LongNames) {
  const std::string key(150, 'k');
  for (const auto format : {TarWriter::kPax, TarWriter::kGnu}) {
    const auto index =
        Build(TarWriter(format).Add(key + ".jpg", EncodeJpeg(MakePicture(8, 8, 1))).Finish());
    ASSERT_TRUE(index.ok()) << index.status();
    EXPECT_EQ(index->keys(0), key);
    EXPECT_EQ(index->widths(0), 8u);
  }
}

TEST_F(ShardIndexTest, OrientationTurnsTheSize) {
  TarWriter tar;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    testing::JpegOptions options;
    options.orientation = orientation;
    options.big_endian = orientation % 2 == 0;
    tar.Add(absl::StrCat(orientation, ".jpg"), EncodeJpeg(MakePicture(40, 30, 1), options));
  }
  const auto index = Build(tar.Finish());
  ASSERT_TRUE(index.ok()) << index.status();
  for (int row = 0; row < 8; ++row) {
    EXPECT_EQ(index->orientations(row), row + 1u);
    EXPECT_EQ(index->widths(row), row >= 4 ? 30u : 40u);
    EXPECT_EQ(index->heights(row), row >= 4 ? 40u : 30u);
  }
}

TEST_F(ShardIndexTest, BadImagesStaySamples) {
  const std::string jpeg = EncodeJpeg(MakePicture(40, 30, 1));
  const auto index = Build(TarWriter()
                               .Add("empty.jpg", "")
                               .Add("empty.txt", "x")
                               .Add("cut.jpg", jpeg.substr(0, 20))
                               .Add("gif.jpg", "GIF89a")
                               .Add("liar.jpg", EncodePng(MakePicture(3, 4, 1)))
                               .Add("only.txt", "no image")
                               .Add("cut.png.", "ignored")
                               .Add("half.png", EncodePng(MakePicture(3, 4, 1)).substr(0, 18))
                               .Finish());
  ASSERT_TRUE(index.ok()) << index.status();
  ASSERT_EQ(index->keys_size(), 6);
  EXPECT_EQ(index->image_bytes(0), 0u);
  EXPECT_EQ(index->image_formats(0), v1::ShardIndex::IMAGE_FORMAT_NONE);
  EXPECT_EQ(index->image_formats(1), v1::ShardIndex::JPEG);
  EXPECT_EQ(index->widths(1), 0u);
  EXPECT_EQ(index->image_formats(2), v1::ShardIndex::IMAGE_FORMAT_OTHER);
  EXPECT_EQ(index->image_formats(3), v1::ShardIndex::PNG) << "bytes decide, not the name";
  EXPECT_EQ(index->widths(3), 3u);
  EXPECT_EQ(index->image_bytes(4), 0u);
  EXPECT_EQ(index->txt_bytes(4), 8u);
  EXPECT_EQ(index->widths(5), 0u);
}

// Names are keys, nothing else: a hostile one neither escapes nor breaks a message.
TEST_F(ShardIndexTest, HostileNames) {
  const auto index = Build(TarWriter()
                               .Add("../../etc/passwd.jpg", "x")
                               .Add("/abs.jpg", "x")
                               .Add("bad\xFF.jpg", "x")
                               .Add(".hidden.jpg", "x")
                               .Add(".jpg", "x")
                               .Finish());
  ASSERT_TRUE(index.ok()) << index.status();
  ASSERT_EQ(index->keys_size(), 3);
  EXPECT_EQ(index->keys(0), "../../etc/passwd");
  EXPECT_EQ(index->keys(1), "/abs");
  EXPECT_EQ(index->keys(2), "bad\\xff");
  EXPECT_EQ(*ListFolder(folder_), std::vector<std::string>{"00000.tar"});
}

TEST_F(ShardIndexTest, RefusesDamagedArchives) {
  TarWriter tar;
  tar.Add("a.jpg", std::string(1000, 'x')).Add("a.txt", "y");
  const std::string good = tar.Finish();
  EXPECT_TRUE(Has(Refused(""), "empty"));
  EXPECT_TRUE(Has(Refused(good.substr(0, 700)), "at byte 700: the file is truncated"));
  EXPECT_TRUE(Has(Refused(good.substr(0, 100)), "at byte 0"));
  // Cut between two members, and before the end blocks.
  EXPECT_TRUE(Has(Refused(good.substr(0, 1536)), "at byte 1536: the file is truncated"));
  EXPECT_TRUE(Has(Refused(tar.bytes()), "truncated"));
  std::string flipped = good;
  flipped[1536 + 3] ^= 1;
  EXPECT_TRUE(Has(Refused(flipped), "at byte 1536: bad header checksum"));
  EXPECT_TRUE(Has(Refused(std::string(2000, 'z')), "not a tar archive"));
  EXPECT_TRUE(Has(Refused(good + good), "data behind the end"));
  EXPECT_TRUE(Has(Refused(TarWriter().Finish()), "no samples"));
  EXPECT_TRUE(Has(Refused(TarWriter().Add("x.yaml", "x").Finish()), "no samples"));
  EXPECT_TRUE(Has(Refused(TarWriter().AddType('S', "a.jpg", "x").Finish()), "sparse"));
  for (const char type : {'1', '2'}) {
    EXPECT_TRUE(Has(Refused(TarWriter().Add("a.txt", "x").AddType(type, "a.jpg").Finish()),
                    "at byte 1024: member a.jpg: a link"));
  }
  EXPECT_TRUE(Has(Refused(TarWriter().AddType('x', "p", "9 path=").Finish()), "pax"));
}

TEST_F(ShardIndexTest, EveryTruncationIsRefused) {
  TarWriter tar(TarWriter::kPax);
  tar.Add("a.jpg", EncodeJpeg(MakePicture(8, 8, 1))).Add("a.txt", "y");
  const std::string good = tar.Finish();
  for (size_t size = 0; size < tar.bytes().size() + 512; size += 37) Refused(good.substr(0, size));
}

TEST_F(ShardIndexTest, RefusesDuplicates) {
  EXPECT_TRUE(Has(Refused(TarWriter().Add("a.txt", "x").Add("a.txt", "y").Finish()),
                  "at byte 1024: member a.txt"));
  EXPECT_TRUE(Has(Refused(TarWriter().Add("a.jpg", "x").Add("a.png", "y").Finish()), "an image"));
  EXPECT_TRUE(
      Has(Refused(TarWriter().Add("a.jpg", "x").Add("b.jpg", "x").Add("a.txt", "y").Finish()),
          "member a.txt: its key came before"));
}

TEST_F(ShardIndexTest, MissingShard) {
  const auto index = BuildShardIndex(testing::LocalStore().get(), folder_ + "/none.tar");
  EXPECT_TRUE(absl::IsNotFound(index.status())) << index.status();
  EXPECT_TRUE(Has(std::string(index.status().message()), "none.tar"));
  EXPECT_FALSE(BuildShardIndex(testing::LocalStore().get(), folder_).ok());
}

class SidecarTest : public ShardIndexTest {
 protected:
  SidecarTest() {
    testing::WriteBytes(shard_, TarWriter().Add("a.jpg", "x").Add("a.txt", "y").Finish());
  }
};

TEST_F(SidecarTest, IsWrittenOnceAndReused) {
  const auto first = IndexShard(testing::LocalStore().get(), shard_, "");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->index_path(), shard_ + ".navit-index");
  EXPECT_EQ(first->samples(), 1u);
  EXPECT_EQ(first->bytes(), 3072u);
  const auto bytes = ReadFile(first->index_path());
  // A reused sidecar is not written again: this one has a mark that a rebuild would lose.
  v1::ShardIndex marked = *ReadShardIndex(testing::LocalStore().get(), first->index_path());
  marked.set_keys(0, "marked");
  ASSERT_TRUE(WriteShardIndex(testing::LocalStore().get(), marked, first->index_path()).ok());
  ASSERT_TRUE(IndexShard(testing::LocalStore().get(), shard_, "").ok());
  EXPECT_EQ(ReadShardIndex(testing::LocalStore().get(), first->index_path())->keys(0), "marked");
}

TEST_F(SidecarTest, IsRebuiltWhenTheShardChanged) {
  ASSERT_TRUE(IndexShard(testing::LocalStore().get(), shard_, "").ok());
  // Same size, other bytes.
  testing::WriteBytes(shard_, TarWriter().Add("b.jpg", "x").Add("b.txt", "y").Finish());
  const auto entry = IndexShard(testing::LocalStore().get(), shard_, "");
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(ReadShardIndex(testing::LocalStore().get(), entry->index_path())->keys(0), "b");
}

TEST_F(SidecarTest, InAFolderOfItsOwn) {
  const auto entry = IndexShard(testing::LocalStore().get(), shard_, folder_ + "/deep/index");
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_TRUE(Has(entry->index_path(), folder_ + "/deep/index/00000.tar-"));
  EXPECT_NE(SidecarPath("/a/0.tar", "/i"), SidecarPath("/b/0.tar", "/i"));
}

TEST_F(SidecarTest, DamageIsNoticedAndRepaired) {
  const auto entry = IndexShard(testing::LocalStore().get(), shard_, "");
  ASSERT_TRUE(entry.ok());
  const std::string good = *ReadFile(entry->index_path());
  for (size_t at = 0; at < good.size(); at += 5) {
    std::string bad = good;
    bad[at] ^= 4;
    testing::WriteBytes(entry->index_path(), bad);
    EXPECT_TRUE(absl::IsInvalidArgument(
        ReadShardIndex(testing::LocalStore().get(), entry->index_path()).status()))
        << at;
  }
  testing::WriteBytes(entry->index_path(), good.substr(0, 10));
  EXPECT_FALSE(ReadShardIndex(testing::LocalStore().get(), entry->index_path()).ok());
  ASSERT_TRUE(IndexShard(testing::LocalStore().get(), shard_, "").ok());
  EXPECT_EQ(*ReadFile(entry->index_path()), good);
}

TEST_F(SidecarTest, AFullDiskIsAnError) {
  SetFileFaultHookForTest([](absl::string_view operation, absl::string_view) {
    return operation == "write" ? ENOSPC : 0;
  });
  const auto entry = IndexShard(testing::LocalStore().get(), shard_, "");
  SetFileFaultHookForTest(nullptr);
  EXPECT_TRUE(absl::IsResourceExhausted(entry.status())) << entry.status();
  EXPECT_FALSE(FileExists(shard_ + ".navit-index"));
}

// Counts the bytes that are asked for.
class CountingStore : public ObjectStore {
 public:
  absl::StatusOr<ObjectInfo> Stat(const std::string& name) override { return store_->Stat(name); }
  absl::StatusOr<ObjectInfo> Read(const std::string& name, uint64_t offset, uint64_t bytes,
                                  const std::string& validator, std::string* out) override {
    bytes_read += bytes;
    return store_->Read(name, offset, bytes, validator, out);
  }
  absl::StatusOr<std::vector<std::string>> Glob(const std::string& pattern) override {
    return store_->Glob(pattern);
  }
  absl::Status Write(const std::string& name, absl::string_view bytes) override {
    return store_->Write(name, bytes);
  }
  absl::Status Remove(const std::string& name) override { return store_->Remove(name); }

  std::atomic<uint64_t> bytes_read{0};

 private:
  const std::shared_ptr<ObjectStore> store_ = testing::LocalStore();
};

TEST_F(ShardIndexTest, OfALargeShardTheBeginningIsEnough) {
  constexpr uint64_t kMegabyte = 1000000;
  TarWriter tar;
  for (int i = 0; i < 60; ++i) {
    tar.Add(absl::StrCat(i, ".jpg"), std::string(kMegabyte, 'x')).Add(absl::StrCat(i, ".txt"), "y");
  }
  tar.Add("not-for-us", std::string(10, 'x'));
  testing::WriteBytes(shard_, tar.bytes());  // nobody will see that it has no end
  CountingStore store;
  const auto part = IndexShardPart(&store, shard_, "", 5 * kMegabyte / 2);
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_EQ(part->entry.samples(), 3u) << "whole samples";
  EXPECT_EQ(part->entry.bytes(), tar.bytes().size());
  EXPECT_NEAR(part->share, 3 / 60., 0.001);
  EXPECT_LE(store.bytes_read, 3 * ObjectReader::kPieceBytes);
  EXPECT_FALSE(FileExists(shard_ + ".navit-index")) << "a job must not take it for the whole";
  // What else reads indexes takes it as it is.
  const auto index = IndexCache(testing::LocalStore()).Get(part->entry);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ((*index)->keys(2), "2");
  EXPECT_EQ((*index)->txt_bytes(2), 1u);

  // A shard that is not large is indexed as for a job; then nothing is read again.
  testing::WriteBytes(shard_, tar.Finish());
  EXPECT_EQ(IndexShardPart(&store, shard_, "", kWholeShard)->entry.samples(), 60u);
  const auto whole = IndexShardPart(&store, shard_, "", kMegabyte);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->entry.samples(), 60u);
  EXPECT_EQ(whole->share, 1);
}

TEST_F(SidecarTest, CacheServesAndNoticesChanges) {
  const auto entry = IndexShard(testing::LocalStore().get(), shard_, "");
  ASSERT_TRUE(entry.ok());
  IndexCache cache(testing::LocalStore());
  const auto index = cache.Get(*entry);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ((*index)->keys(0), "a");
  EXPECT_EQ(cache.Get(*entry)->get(), index->get());

  // Without its sidecar the shard itself is read.
  ASSERT_TRUE(RemoveAll(entry->index_path()).ok());
  EXPECT_TRUE(IndexCache(testing::LocalStore()).Get(*entry).ok());
  // A changed shard, whether its sidecar says so or not, is named.
  testing::WriteBytes(shard_, TarWriter().Add("b.jpg", "x").Add("b.txt", "y").Finish());
  auto changed = IndexCache(testing::LocalStore()).Get(*entry);
  EXPECT_TRUE(absl::IsFailedPrecondition(changed.status())) << changed.status();
  EXPECT_TRUE(Has(std::string(changed.status().message()), shard_));
  ASSERT_TRUE(IndexShard(testing::LocalStore().get(), shard_, "").ok());
  changed = IndexCache(testing::LocalStore()).Get(*entry);
  EXPECT_TRUE(absl::IsFailedPrecondition(changed.status())) << changed.status();
  testing::WriteBytes(shard_, "junk");
  ASSERT_TRUE(RemoveAll(entry->index_path()).ok());
  changed = IndexCache(testing::LocalStore()).Get(*entry);
  EXPECT_TRUE(absl::IsFailedPrecondition(changed.status())) << changed.status();
  ASSERT_TRUE(RemoveAll(shard_).ok());
  EXPECT_TRUE(absl::IsNotFound(IndexCache(testing::LocalStore()).Get(*entry).status()));
}

TEST_F(SidecarTest, CacheKeepsItsBound) {
  IndexCache cache(testing::LocalStore(), 1);
  const auto entry = IndexShard(testing::LocalStore().get(), shard_, "");
  const std::string other_shard = folder_ + "/1.tar";
  testing::WriteBytes(other_shard, TarWriter().Add("b.jpg", "x").Finish());
  const auto other = IndexShard(testing::LocalStore().get(), other_shard, "");
  ASSERT_TRUE(entry.ok() && other.ok());
  std::weak_ptr<const v1::ShardIndex> first = *cache.Get(*entry);
  EXPECT_FALSE(first.expired()) << "the newest is kept, whatever its size";
  ASSERT_TRUE(cache.Get(*other).ok());
  EXPECT_TRUE(first.expired());
}

}  // namespace
}  // namespace navit
