// Towers that timm saved, loaded here: the same pooled features as timm's (make_timm_values.py),
// and out again under the same names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/resolve.h"
#include "tests/parity/drawn.h"
#include "worker/model/aligned_buffer.h"
#include "worker/model/arena.h"
#include "worker/model/image_tower.h"
#include "worker/safetensors.h"
#include "worker/weights/init_from.h"
#include "worker/weights/timm_export.h"

namespace navit {
namespace {

constexpr char kFolder[] = "tests/parity/timm";
constexpr double kTolerance = 1e-5;
// Of make_timm_values.py.
constexpr int kGrids[][2] = {{5, 5}, {3, 9}, {8, 2}};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

Safetensors ReadTensors(const std::string& path) {
  auto read = Safetensors::FromBytes(path, ReadAll(path));
  EXPECT_TRUE(read.ok()) << read.status();
  return *std::move(read);
}

// The whole image `index`, all patches kept.
Batch ImageBatch(int index, int64_t patch) {
  const int rows = kGrids[index][0];
  const int columns = kGrids[index][1];
  const std::string name = absl::StrCat("timm.image.", index);
  Batch batch;
  batch.samples = {0};
  batch.grids = {static_cast<uint16_t>(rows), static_cast<uint16_t>(columns)};
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      batch.positions.push_back(static_cast<uint16_t>(row));
      batch.positions.push_back(static_cast<uint16_t>(column));
      for (int64_t y = 0; y < patch; ++y) {
        const int64_t begin = ((row * patch + y) * columns + column) * patch * 3;
        for (int64_t i = 0; i < patch * 3; ++i) {
          batch.patches.push_back(static_cast<char>(DrawnWhole(name, begin + i, 256)));
        }
      }
    }
  }
  batch.image_cu_seqlens = {0, rows * columns};
  return batch;
}

class TimmTest : public testing::TestWithParam<const char*> {
 protected:
  TimmTest() : folder_(absl::StrCat(kFolder, "/", GetParam())) {
    auto spec = ParseJobFile(ReadAll(folder_ + "/job.json"), "job.json");
    EXPECT_TRUE(spec.ok()) << spec.status();
    spec_ = *std::move(spec);
    ResolveJobSpec(&spec_);
  }

  // A model as `spec_` says, started from the weights at `path`.
  absl::Status Load(const std::string& path) {
    const auto config = ResolveModelConfig(spec_.model(), spec_.preprocess(), spec_.loss());
    EXPECT_TRUE(config.ok()) << config.status();
    table_ = std::make_unique<ParameterTable>(*config);
    state_ = std::make_unique<ModelState>(*table_);
    InitializeState(*table_, 1, state_.get());
    v1::InitFromSpec from;
    from.set_image(std::filesystem::absolute(path));
    return InitializeFrom(MakeObjectStore().get(), from, *table_, state_.get());
  }

  std::vector<float> Features(int index) {
    const ImageTower tower(*table_);
    const Batch batch = ImageBatch(index, table_->config().patch_size);
    Arena count;
    tower.LayOut(batch, &count);
    AlignedBuffer buffer(count.used());
    Arena arena(buffer.data());
    const ImageTowerActivations a = tower.LayOut(batch, &arena);
    tower.Forward(state_->parameters.data(), batch, a, pool_);
    return {a.tower.features(), a.tower.features() + table_->config().image.width};
  }

  std::string Error(const std::string& path) { return std::string(Load(path).message()); }

  const std::string folder_;
  v1::JobSpec spec_;
  std::unique_ptr<ParameterTable> table_;
  std::unique_ptr<ModelState> state_;
  kernels::ThreadPool pool_{2};
};

TEST_P(TimmTest, GivesTheFeaturesOfTimm) {
  ASSERT_TRUE(Load(folder_ + "/tower.safetensors").ok()) << Error(folder_ + "/tower.safetensors");
  const Safetensors wanted = ReadTensors(absl::StrCat(kFolder, "/features.safetensors"));
  for (int i = 0; i < 3; ++i) {
    const std::vector<float> got = Features(i);
    const auto want = wanted.Find(absl::StrCat(GetParam(), "/", i), {table_->config().image.width});
    ASSERT_TRUE(want.ok()) << want.status();
    double largest = 0;
    for (const float value : *want) largest = std::max(largest, std::abs(double{value}));
    for (size_t j = 0; j < got.size(); ++j) {
      EXPECT_NEAR(got[j], (*want)[j], kTolerance * largest) << "image " << i << " [" << j << "]";
    }
  }
}

TEST_P(TimmTest, GoesOutUnderTheSameNames) {
  ASSERT_TRUE(Load(folder_ + "/tower.safetensors").ok());
  const std::vector<float> before = Features(1);
  const std::string out = absl::StrCat(testing::TempDir(), "/", GetParam());
  ASSERT_TRUE(ExportTimm(*table_, state_->parameters.data(), out).ok());
  // The architecture's own names are in what timm wrote.
  if (!absl::StartsWith(GetParam(), "vit_")) {
    EXPECT_EQ(ReadTensors(out + "/model.safetensors").names(),
              ReadTensors(folder_ + "/tower.safetensors").names());
  }
  ASSERT_TRUE(Load(out + "/model.safetensors").ok()) << Error(out + "/model.safetensors");
  EXPECT_EQ(Features(1), before);
}

INSTANTIATE_TEST_SUITE_P(Towers, TimmTest,
                         testing::Values("naflexvit_base_patch16_siglip",
                                         "naflexvit_base_patch16_gap", "naflexvit_base_patch16_map",
                                         "naflexvit_base_patch16_par_gap",
                                         "naflexvit_base_patch16_parfac_gap",
                                         "vit_base_patch16_224"),
                         [](const auto& info) { return std::string(info.param); });

// What a job file may get wrong about a tower with LayerScale, registers and cubic positions.
class WrongTower : public TimmTest {
 protected:
  std::string Error() { return TimmTest::Error(folder_ + "/tower.safetensors"); }
  v1::ImageTowerSpec* image() { return spec_.mutable_model()->mutable_image(); }
};

TEST_P(WrongTower, IsNamed) {
  image()->mutable_encoder()->set_layer_scale(0);
  EXPECT_THAT(Error(), testing::HasSubstr("blocks.0.ls1.gamma: the model has no such part; see "
                                          "model.image.encoder.layer_scale"));
  image()->mutable_encoder()->set_layer_scale(1);
  image()->mutable_encoder()->set_gelu(v1::EncoderSpec::TANH);
  EXPECT_THAT(Error(), testing::HasSubstr("model.image.encoder.gelu: must be erf"));
  image()->mutable_encoder()->set_gelu(v1::EncoderSpec::ERF);
  image()->set_position_interpolation(v1::ImageTowerSpec::LINEAR_ANTIALIAS);
  EXPECT_THAT(Error(), testing::HasSubstr("position_interpolation: must be cubic_antialias"));
  image()->set_position_interpolation(v1::ImageTowerSpec::CUBIC_ANTIALIAS);
  image()->mutable_size()->set_heads(4);
  EXPECT_THAT(Error(), testing::HasSubstr("model.image.size.heads: must be 2"));
  image()->mutable_size()->set_heads(2);
  image()->set_prefix_tokens(3);
  EXPECT_THAT(Error(), testing::HasSubstr("embeds.reg_token has shape [1, 4, 16], the model's is "
                                          "[1, 3, 16]"));
  image()->set_prefix_tokens(4);
  image()->mutable_encoder()->set_attention_bias(false);
  EXPECT_THAT(Error(), testing::HasSubstr("is not zero, and the model has no such bias"));
  image()->mutable_encoder()->set_attention_bias(true);
  image()->set_pooling(v1::ImageTowerSpec::MAP);
  EXPECT_THAT(Error(), testing::HasSubstr("has no tensor attn_pool.latent"));
  image()->set_pooling(v1::ImageTowerSpec::MEAN);
  image()->mutable_size()->set_depth(1);
  EXPECT_THAT(Error(), testing::HasSubstr("tensor blocks.1."));
  image()->mutable_size()->set_depth(2);
  EXPECT_EQ(Error(), "");
}

INSTANTIATE_TEST_SUITE_P(Gap, WrongTower, testing::Values("naflexvit_base_patch16_gap"));

TEST(ExportTimm, RefusesWhatTimmDoesNotHave) {
  ModelConfig config;
  config.image = {.width = 8, .depth = 1, .mlp_dim = 8, .heads = 2};
  config.text = config.image;
  config.patch_size = 4;
  config.max_grid = config.position_rows = 4;
  config.max_text_tokens = 8;
  config.embedding_dim = 8;
  const auto refusal = [&] {
    const ParameterTable table(config);
    const std::vector<float> parameters(table.total_size());
    return std::string(
        ExportTimm(table, parameters.data(), testing::TempDir() + "/refused").message());
  };
  EXPECT_THAT(refusal(), testing::HasSubstr("absolute"));
  config.coordinates = v1::ImageTowerSpec::FRACTIONAL;
  EXPECT_EQ(refusal(), "");
  config.position = v1::ImageTowerSpec::ROPE;
  EXPECT_THAT(refusal(), testing::HasSubstr("neither factorized_sum nor joint"));
  config.position = v1::ImageTowerSpec::FACTORIZED_SUM;
  config.image.layer_norm = true;
  EXPECT_THAT(refusal(), testing::HasSubstr("QK-norm"));
}

}  // namespace
}  // namespace navit
