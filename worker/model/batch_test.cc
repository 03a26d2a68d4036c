#include "worker/model/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "proto/pack.pb.h"

namespace navit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelConfig Config() {
  ModelConfig config;
  config.patch_size = 2;
  config.max_grid = 300;
  config.position_rows = 300;
  config.max_text_tokens = 4;
  return config;
}

void AppendUint16(uint16_t value, std::string* bytes) {
  bytes->push_back(static_cast<char>(value & 0xff));
  bytes->push_back(static_cast<char>(value >> 8));
}

// Two examples with a hole between them.
v1::Pack ValidPack() {
  v1::Pack pack;
  pack.set_epoch(3);
  pack.set_patch_size(2);
  for (const uint64_t sample : {70, 71, 72}) pack.add_samples(sample);
  for (const uint32_t tokens : {2, 0, 1}) pack.add_image_tokens(tokens);
  for (const uint32_t rows : {1, 0, 300}) pack.add_grid_rows(rows);
  for (const uint32_t columns : {2, 0, 1}) pack.add_grid_columns(columns);
  pack.set_patches(std::string(3 * 12, '\x7f'));
  for (const uint16_t position : {0, 0, 0, 1, 299, 0}) {
    AppendUint16(position, pack.mutable_positions());
  }
  for (const uint32_t tokens : {3, 0, 2}) pack.add_text_tokens(tokens);
  for (const uint16_t id : {256, 65, 257, 256, 257}) AppendUint16(id, pack.mutable_text());
  for (const uint64_t hash : {111, 0, 333}) pack.add_caption_hashes(hash);
  return pack;
}

TEST(ParseBatch, LeavesHolesOut) {
  const absl::StatusOr<Batch> batch = ParseBatch(ValidPack().SerializeAsString(), Config());
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->epoch, 3u);
  EXPECT_EQ(batch->planned_examples, 3);
  EXPECT_THAT(batch->samples, ElementsAre(70, 72));
  EXPECT_THAT(batch->caption_hashes, ElementsAre(111, 333));
  EXPECT_THAT(batch->image_cu_seqlens, ElementsAre(0, 2, 3));
  EXPECT_THAT(batch->text_cu_seqlens, ElementsAre(0, 3, 5));
  EXPECT_THAT(batch->positions, ElementsAre(0, 0, 0, 1, 299, 0));
  EXPECT_THAT(batch->text, ElementsAre(256, 65, 257, 256, 257));
  EXPECT_EQ(batch->patches.size(), 36u);
}

TEST(ParseBatch, TakesAPackOfHolesOnly) {
  v1::Pack pack;
  pack.set_patch_size(2);
  pack.add_samples(1);
  pack.add_image_tokens(0);
  pack.add_grid_rows(0);
  pack.add_grid_columns(0);
  pack.add_text_tokens(0);
  pack.add_caption_hashes(0);
  const absl::StatusOr<Batch> batch = ParseBatch(pack.SerializeAsString(), Config());
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->examples(), 0);
  EXPECT_EQ(batch->planned_examples, 1);
}

struct BadPack {
  const char* field;
  std::function<void(v1::Pack*)> spoil;
};

TEST(ParseBatch, NamesTheFieldThatIsWrong) {
  const BadPack cases[] = {
      {"patch_size: is 16", [](v1::Pack* pack) { pack->set_patch_size(16); }},
      {"image_tokens: has 4", [](v1::Pack* pack) { pack->add_image_tokens(0); }},
      {"grid_rows: has 2", [](v1::Pack* pack) { pack->mutable_grid_rows()->RemoveLast(); }},
      {"grid_columns: has 4", [](v1::Pack* pack) { pack->add_grid_columns(1); }},
      {"text_tokens: has 4", [](v1::Pack* pack) { pack->add_text_tokens(0); }},
      {"caption_hashes: has 4", [](v1::Pack* pack) { pack->add_caption_hashes(0); }},
      {"patches: has 37 bytes", [](v1::Pack* pack) { pack->mutable_patches()->push_back('x'); }},
      {"positions: has 8 bytes", [](v1::Pack* pack) { pack->mutable_positions()->resize(8); }},
      {"text: has 8 bytes", [](v1::Pack* pack) { pack->mutable_text()->resize(8); }},
      {"image_tokens: too many", [](v1::Pack* pack) { pack->set_image_tokens(0, 4000000000u); }},
      {"grid_rows[2]: is 301", [](v1::Pack* pack) { pack->set_grid_rows(2, 301); }},
      {"grid_columns[0]: is 4294967295",
       [](v1::Pack* pack) { pack->set_grid_columns(0, 4294967295u); }},
      {"image_tokens[0]: is 2", [](v1::Pack* pack) { pack->set_grid_columns(0, 1); }},
      {"positions[1]: (0, 2)", [](v1::Pack* pack) { (*pack->mutable_positions())[6] = 2; }},
      {"text[1]: token 65345", [](v1::Pack* pack) { (*pack->mutable_text())[3] = '\xff'; }},
      {"text_tokens[0]: is 5",
       [](v1::Pack* pack) {
         pack->set_text_tokens(0, 5);
         pack->mutable_text()->append(4, '\0');
       }},
      {"text_tokens[1]: a hole",
       [](v1::Pack* pack) {
         pack->set_text_tokens(1, 1);
         pack->mutable_text()->append(2, '\0');
       }},
  };
  for (const BadPack& bad : cases) {
    v1::Pack pack = ValidPack();
    bad.spoil(&pack);
    const absl::StatusOr<Batch> batch = ParseBatch(pack.SerializeAsString(), Config());
    EXPECT_EQ(batch.status().code(), absl::StatusCode::kInvalidArgument) << bad.field;
    EXPECT_THAT(std::string(batch.status().message()), HasSubstr(bad.field));
  }
  EXPECT_FALSE(ParseBatch("no protobuf", Config()).ok());
}

// The same examples with labels and without captions.
v1::Pack LabelledPack() {
  v1::Pack pack = ValidPack();
  pack.clear_text_tokens();
  pack.clear_text();
  pack.clear_caption_hashes();
  for (const uint32_t label : {4, 0, 6}) pack.add_labels(label);
  return pack;
}

ModelConfig ClassifierConfig() {
  ModelConfig config = Config();
  config.loss = v1::LossSpec::SIGMOID_CLASSIFICATION;
  config.classes = 7;
  return config;
}

TEST(ParseBatch, LabelsTakeThePlaceOfCaptions) {
  const absl::StatusOr<Batch> batch =
      ParseBatch(LabelledPack().SerializeAsString(), ClassifierConfig());
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_THAT(batch->labels, ElementsAre(4, 6));
  EXPECT_THAT(batch->image_cu_seqlens, ElementsAre(0, 2, 3));
  EXPECT_THAT(batch->text_cu_seqlens, ElementsAre(0));
  EXPECT_THAT(batch->caption_hashes, ElementsAre());
  const Batch twice = Concatenate({&*batch, &*batch});
  EXPECT_THAT(twice.labels, ElementsAre(4, 6, 4, 6));
  EXPECT_THAT(twice.text_cu_seqlens, ElementsAre(0));

  const BadPack cases[] = {
      {"labels: has 0", [](v1::Pack* pack) { pack->clear_labels(); }},
      {"labels: has 4", [](v1::Pack* pack) { pack->add_labels(1); }},
      {"labels[2]: is 7, the classifier has 7", [](v1::Pack* pack) { pack->set_labels(2, 7); }},
      {"text_tokens: has 3", [](v1::Pack* pack) { pack->mutable_text_tokens()->Resize(3, 0); }},
      {"text: has 2 bytes", [](v1::Pack* pack) { pack->set_text("ab"); }},
  };
  for (const BadPack& bad : cases) {
    v1::Pack pack = LabelledPack();
    bad.spoil(&pack);
    EXPECT_THAT(
        std::string(ParseBatch(pack.SerializeAsString(), ClassifierConfig()).status().message()),
        HasSubstr(bad.field));
  }
}

TEST(ParseTexts, TakesTextsWithoutImages) {
  v1::Pack pack = ValidPack();
  for (int i = 0; i < 3; ++i) {
    pack.set_image_tokens(i, 0);
    pack.add_labels(i);
  }
  pack.clear_patches();
  pack.clear_positions();
  pack.set_text_tokens(1, 1);
  AppendUint16(257, pack.mutable_text());
  const absl::StatusOr<Batch> batch = ParseTexts(pack.SerializeAsString(), Config());
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_THAT(batch->samples, ElementsAre(70, 71, 72));
  EXPECT_THAT(batch->labels, ElementsAre(0, 1, 2));
  EXPECT_THAT(batch->text_cu_seqlens, ElementsAre(0, 3, 4, 6));
  EXPECT_EQ(batch->image_tokens(), 0);
  pack.set_text_tokens(1, 0);
  pack.mutable_text()->resize(10);
  EXPECT_THAT(std::string(ParseTexts(pack.SerializeAsString(), Config()).status().message()),
              HasSubstr("text_tokens[1]: is 0"));
  EXPECT_THAT(std::string(ParseTexts(ValidPack().SerializeAsString(), Config()).status().message()),
              HasSubstr("labels: has 0"));
}

TEST(Concatenate, ShiftsCumulativeLengths) {
  const Batch one = *ParseBatch(ValidPack().SerializeAsString(), Config());
  const Batch two = Concatenate({&one, &one});
  EXPECT_EQ(two.planned_examples, 6);
  EXPECT_THAT(two.samples, ElementsAre(70, 72, 70, 72));
  EXPECT_THAT(two.image_cu_seqlens, ElementsAre(0, 2, 3, 5, 6));
  EXPECT_THAT(two.text_cu_seqlens, ElementsAre(0, 3, 5, 8, 10));
  EXPECT_EQ(two.patches, one.patches + one.patches);
  EXPECT_EQ(two.positions.size(), 12u);
  EXPECT_EQ(two.text.size(), 10u);
}

}  // namespace
}  // namespace navit
