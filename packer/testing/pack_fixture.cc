#include "packer/testing/pack_fixture.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "packer/testing/encode.h"
#include "packer/testing/tar_writer.h"

namespace navit::testing {
namespace {

// Entry `i` of a column of 16-bit numbers, little-endian.
uint32_t U16(const std::string& bytes, size_t i) {
  return static_cast<uint8_t>(bytes[2 * i]) | static_cast<uint8_t>(bytes[2 * i + 1]) << 8;
}

}  // namespace

std::shared_ptr<const v1::DataManifest> PackTest::Golden() {
  return MakeManifest({"packer/testdata/golden.tar"}, folder_ + "/index");
}

std::shared_ptr<const v1::DataManifest> PackTest::Shard(const std::string& bytes) {
  WriteBytes(folder_ + "/0.tar", bytes);
  return MakeManifest({folder_ + "/0.tar"}, "");
}

std::shared_ptr<const v1::DataManifest> PackTest::Shards(uint32_t count, uint32_t per_shard) {
  std::vector<std::string> shards;
  for (uint32_t first = 0; first < count; first += per_shard) {
    TarWriter tar;
    for (uint32_t i = first; i < std::min(count, first + per_shard); ++i) {
      tar.Add(absl::StrCat(i, ".jpg"),
              EncodeJpeg(MakePicture(20 + i * 7 % 90, 20 + i * 11 % 70, i)));
      tar.Add(absl::StrCat(i, ".txt"), absl::StrCat("caption ", i % 7));
    }
    shards.push_back(absl::StrFormat("%s/%05d.tar", folder_, first));
    WriteBytes(shards.back(), tar.Finish());
  }
  return MakeManifest(shards, "");
}

void CheckPack(const v1::JobSpec& spec, const WindowPlan& plan, uint32_t index,
               const PackedBytes& made) {
  v1::Pack pack;
  ASSERT_TRUE(pack.ParseFromString(made.payload));
  const v1::PackHeader& header = made.header;
  const int examples = static_cast<int>(plan.pack_begin[index + 1] - plan.pack_begin[index]);
  ASSERT_EQ(pack.samples_size(), examples);
  ASSERT_EQ(pack.image_tokens_size(), examples);
  ASSERT_EQ(pack.grid_rows_size(), examples);
  ASSERT_EQ(pack.grid_columns_size(), examples);
  ASSERT_EQ(pack.text_tokens_size(), examples);
  ASSERT_EQ(pack.caption_hashes_size(), examples);
  std::map<uint64_t, v1::HoleReason> holes;
  for (const v1::Hole& hole : header.holes()) holes[hole.sample()] = hole.reason();
  uint64_t tokens = 0, text = 0, squares = 0, valid = 0;
  size_t position = 0;
  for (int e = 0; e < examples; ++e) {
    const PlannedExample& planned = plan.examples[plan.pack_begin[index] + e];
    EXPECT_EQ(pack.samples(e), planned.sample);
    if (holes.count(pack.samples(e)) != 0) {
      EXPECT_EQ(pack.image_tokens(e), 0u);
      EXPECT_EQ(pack.text_tokens(e), 0u);
      EXPECT_EQ(pack.caption_hashes(e), 0u);
      EXPECT_EQ(pack.grid_rows(e), 0u);
      continue;
    }
    EXPECT_EQ(planned.hole, v1::HOLE_REASON_NONE);
    EXPECT_EQ(pack.image_tokens(e), planned.tokens);
    EXPECT_EQ(pack.grid_rows(e), planned.grid_rows);
    EXPECT_EQ(pack.grid_columns(e), planned.grid_columns);
    EXPECT_LE(pack.image_tokens(e), pack.grid_rows(e) * pack.grid_columns(e));
    EXPECT_NE(pack.caption_hashes(e), 0u);
    EXPECT_GE(pack.text_tokens(e), 3u);
    EXPECT_EQ(pack.text_tokens(e), planned.text_tokens);
    EXPECT_EQ(U16(pack.text(), text), 0u) << "begin";
    EXPECT_EQ(U16(pack.text(), text + pack.text_tokens(e) - 1), 1u) << "end";
    uint32_t before = 0;
    for (uint32_t t = 0; t < pack.image_tokens(e); ++t, ++position) {
      const uint32_t row = U16(pack.positions(), 2 * position);
      const uint32_t column = U16(pack.positions(), 2 * position + 1);
      EXPECT_LT(row, pack.grid_rows(e));
      EXPECT_LT(column, pack.grid_columns(e));
      const uint32_t place = row * pack.grid_columns(e) + column + 1;
      EXPECT_GT(place, before) << "rising, distinct patches";
      before = place;
    }
    tokens += pack.image_tokens(e);
    text += pack.text_tokens(e);
    squares += uint64_t{pack.image_tokens(e)} * pack.image_tokens(e);
    ++valid;
  }
  const uint32_t patch = spec.model().image().patch_size();
  EXPECT_EQ(pack.patches().size(), tokens * patch * patch * 3);
  EXPECT_EQ(pack.positions().size(), tokens * 4);
  EXPECT_EQ(pack.text().size(), text * 2);
  EXPECT_EQ(pack.patch_size(), patch);
  EXPECT_EQ(pack.epoch(), plan.epoch);
  EXPECT_EQ(header.image_tokens(), tokens);
  EXPECT_LE(tokens, header.capacity_tokens());
  EXPECT_EQ(header.capacity_tokens(), plan.sequence_length);
  EXPECT_EQ(header.text_tokens(), text);
  EXPECT_EQ(header.examples(), static_cast<uint32_t>(examples));
  EXPECT_EQ(header.valid_examples(), valid);
  EXPECT_EQ(header.valid_examples() + header.holes_size(), header.examples());
  EXPECT_EQ(header.sum_squares(), squares);
  EXPECT_EQ(header.payload_bytes(), made.payload.size());
  EXPECT_EQ(header.window(), plan.window);
  EXPECT_EQ(header.index(), index);
  EXPECT_EQ(header.split(), plan.split);
  EXPECT_EQ(header.plan_version(), kPlanVersion);
  EXPECT_EQ(made.stats.examples.size(), valid);
}

}  // namespace navit::testing
