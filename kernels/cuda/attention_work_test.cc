#include "kernels/cuda/attention_work.h"

#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace navit::kernels::cuda {
namespace {

AttentionWork Make(const std::vector<int32_t>& lengths, int32_t max_rows) {
  std::vector<int32_t> cu = {0};
  for (int32_t length : lengths) cu.push_back(cu.back() + length);
  return MakeAttentionWork(cu.data(), lengths.size(), max_rows);
}

TEST(AttentionWorkTest, ShortSegmentsShareABlock) {
  const AttentionWork work = Make({16, 0, 20, 16, 1, 70}, 256);
  ASSERT_EQ(2u, work.blocks.size());
  EXPECT_EQ(4, work.blocks[0].segments);  // 16 + 32 + 16 + 16 rows
  EXPECT_EQ(5, work.blocks[0].tiles);
  EXPECT_EQ(48, work.segments[2].row);
  EXPECT_EQ(1, work.blocks[1].segments);  // 80 rows find no room in 128
  EXPECT_EQ(5, work.blocks[1].tiles);
  EXPECT_EQ(80, work.chunk_rows);
  EXPECT_EQ(123, work.used_tokens);
}

TEST(AttentionWorkTest, LongSegmentsHaveABlockForEach64Rows) {
  const AttentionWork work = Make({200, 5}, 64);
  ASSERT_EQ(5u, work.blocks.size());
  for (int b = 0; b < 4; ++b) {
    EXPECT_EQ(b < 3 ? 4 : 1, work.blocks[b].tiles);
    EXPECT_EQ(64 * b, work.tiles[work.blocks[b].first_tile].first);
    EXPECT_EQ(0, work.segments[work.blocks[b].first_segment].row);
  }
  EXPECT_EQ(64, work.chunk_rows);
}

// On all cards alike: 66 KiB fit the 99 KiB that a block may have on sm_86 and sm_89.
TEST(AttentionWorkTest, RowsOfEachHeadDim) {
  EXPECT_EQ(256, AttentionRows(16));
  EXPECT_EQ(256, AttentionRows(64));
  EXPECT_EQ(192, AttentionRows(72));
  EXPECT_EQ(128, AttentionRows(96));
  EXPECT_EQ(128, AttentionRows(128));
  for (const int64_t head_dim : kHeadDims) {
    EXPECT_EQ(0, AttentionRows(head_dim) % 64);
    EXPECT_LE(AttentionRows(head_dim) * AttentionRowBytes(head_dim), 66 * 1024);
  }
}

// Whatever the lengths: each 16 rows of each segment are in one tile, of a block that holds the
// segment at that place; places of a block do not overlap; blocks of several segments hold them
// all.
TEST(AttentionWorkTest, EveryRowIsInOneTile) {
  for (const int32_t max_rows : {64, 256}) {
    std::vector<int32_t> lengths;
    for (int32_t i = 0; i < 400; ++i) lengths.push_back((i * i * 7 + i) % (i % 5 == 0 ? 700 : 60));
    const AttentionWork work = Make(lengths, max_rows);
    std::set<std::pair<int32_t, int32_t>> tiles;
    for (const AttentionBlock& block : work.blocks) {
      std::map<int32_t, int32_t> row_of;
      int32_t rows = 0;
      for (int32_t s = block.first_segment; s < block.first_segment + block.segments; ++s) {
        EXPECT_LE(rows, work.segments[s].row);
        rows = work.segments[s].row + (work.segments[s].length + 15) / 16 * 16;
        row_of[work.segments[s].begin] = work.segments[s].row;
      }
      if (block.segments > 1) {
        EXPECT_LE(rows, work.chunk_rows);
      }
      if (rows > work.chunk_rows) {
        EXPECT_LE(block.tiles, kAttentionWarps);
      }
      for (int32_t t = block.first_tile; t < block.first_tile + block.tiles; ++t) {
        ASSERT_TRUE(row_of.contains(work.tiles[t].begin));
        EXPECT_EQ(row_of[work.tiles[t].begin], work.tiles[t].row);
        EXPECT_TRUE(tiles.emplace(work.tiles[t].begin, work.tiles[t].first).second);
      }
    }
    size_t want = 0;
    for (int32_t length : lengths) want += (length + 15) / 16;
    EXPECT_EQ(want, tiles.size());
    EXPECT_LE(work.chunk_rows, max_rows);
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
