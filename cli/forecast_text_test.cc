#include "cli/forecast_text.h"

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "common/job_spec/resolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/model/config.h"

namespace navit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::JobSpec Spec() {
  v1::JobSpec spec;
  spec.set_name("job");
  spec.mutable_data()->add_train()->set_shards("a");
  spec.mutable_packing()->set_sequence_length(64);
  spec.mutable_packing()->set_sequences_per_step(4);
  spec.mutable_train_for()->set_steps(10);
  ResolveJobSpec(&spec);
  return spec;
}

// Two sequences: images of 30 and 34 tokens in one, of 16 in the other; captions of 5 tokens.
v1::Forecast Forecast() {
  v1::Forecast f;
  auto* dataset = f.add_datasets();
  dataset->set_shards(2);
  dataset->set_shards_total(2);
  dataset->set_samples(3);
  dataset->set_samples_total(3);
  f.set_windows(1);
  f.set_samples(3);
  f.set_images(3);
  f.set_sequences(2);
  f.set_image_tokens(80);
  f.set_capacity_tokens(128);
  f.set_text_tokens(15);
  f.set_image_squares(30 * 30 + 34 * 34 + 16 * 16);
  f.set_dense_squares(2 * 64 * 64);
  f.set_text_squares(75);
  f.mutable_images_per_sequence()->set_mean(1.5);
  f.mutable_images_per_sequence()->set_p1(1);
  f.mutable_images_per_sequence()->set_p99(2);
  f.set_made_sequences(2);
  f.set_made_bytes(4000000);
  f.set_made_core_seconds(0.006);
  f.mutable_source_sides()->add_upper_bounds(32);
  f.mutable_source_sides()->add_counts(1);
  f.mutable_source_sides()->add_counts(2);
  f.set_common_width(256);
  f.set_common_height(200);
  f.set_common_images(2);
  return f;
}

std::string Text(const v1::JobSpec& spec, const v1::Forecast& forecast) {
  const auto text = ForecastText(spec, forecast);
  EXPECT_TRUE(text.ok()) << text.status();
  return *text;
}

TEST(ForecastText, SaysWhatTheNumbersMean) {
  const std::string text = Text(Spec(), Forecast());
  EXPECT_THAT(text, HasSubstr("data: 3 samples in 2 shards\n"));
  EXPECT_THAT(text, HasSubstr("expected padding: 37.50 %\n"));
  EXPECT_THAT(text, HasSubstr("images per sequence: mean 1.50, p1 1, p99 2\n"));
  EXPECT_THAT(text, HasSubstr("examples per step: mean 6.0\n"));
  EXPECT_THAT(text, HasSubstr("sum of l^2 is 1156 per sequence, 28.2 % of the dense one"));
  EXPECT_THAT(text, HasSubstr("steps per epoch: 0.5\n"));
  EXPECT_THAT(text, HasSubstr("a sequence takes 3.0 ms of a core, measured on 2"));
  EXPECT_THAT(text, HasSubstr("8.00 MB per step"));
  EXPECT_THAT(text, HasSubstr("to 32      33.3 %  ####################\n"));
  EXPECT_THAT(text, Not(HasSubstr("warning")));
}

TEST(ForecastText, FlopsAreThoseOfTheSegments) {
  // Prefix tokens take room in a sequence and work, and are no patches.
  for (const uint32_t prefix : {0, 5}) {
    v1::JobSpec spec = Spec();
    spec.mutable_model()->mutable_image()->set_prefix_tokens(prefix);
    v1::Forecast forecast = Forecast();
    forecast.set_image_tokens(0);
    forecast.set_image_squares(0);
    for (const uint32_t patches : {30, 34, 16}) {
      const uint32_t tokens = patches + prefix;
      forecast.set_image_tokens(forecast.image_tokens() + tokens);
      forecast.set_image_squares(forecast.image_squares() + tokens * tokens);
    }
    const auto config = ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss());
    ASSERT_TRUE(config.ok());
    // Of two sequences, that is half a step.
    const double wanted = 2 * 3 * UsefulForwardFlops(*config, {30, 34, 16}, {5, 5, 5});
    const std::string text = Text(spec, forecast);
    const std::string name = "useful FLOPs per step: ";
    const size_t at = text.find(name);
    ASSERT_NE(at, std::string::npos);
    double stated = 0;
    ASSERT_TRUE(absl::SimpleAtod(
        absl::string_view(text).substr(at + name.size(), text.find(';', at) - at - name.size()),
        &stated));
    EXPECT_NEAR(stated / wanted, 1, 1e-3);
  }
}

TEST(ForecastText, WarnsWhenNineInTenImagesShareASize) {
  v1::Forecast forecast = Forecast();
  forecast.set_images(20);
  forecast.set_common_images(17);
  EXPECT_THAT(Text(Spec(), forecast), Not(HasSubstr("warning")));
  forecast.set_common_images(18);
  EXPECT_THAT(Text(Spec(), forecast),
              HasSubstr("warning: 90 % of the images have one size, 256 x 200 pixels"));
}

TEST(ForecastText, SaysWhenOnlyAPartWasLookedAt) {
  v1::Forecast forecast = Forecast();
  forecast.mutable_datasets(0)->set_shards_total(40);
  forecast.mutable_datasets(0)->set_samples_total(60);
  EXPECT_THAT(Text(Spec(), forecast),
              HasSubstr("about 60 samples in 40 shards; looked at 2 of them with 3 samples"));
}

TEST(ForecastText, EachDataSetOfAMixtureHasItsEpochs) {
  v1::JobSpec spec = Spec();
  spec.mutable_data()->add_train()->set_shards("b");
  spec.mutable_data()->mutable_train(0)->set_weight(3);
  ResolveJobSpec(&spec);
  v1::Forecast forecast = Forecast();
  forecast.mutable_datasets(0)->set_samples_total(90);
  *forecast.add_datasets() = forecast.datasets(0);
  const std::string text = Text(spec, forecast);
  // Six samples a step, three quarters of them of the first.
  EXPECT_THAT(text, HasSubstr("data.train[0] steps per epoch: 20.0\n"));
  EXPECT_THAT(text, HasSubstr("data.train[1] steps per epoch: 60.0\n"));
}

}  // namespace
}  // namespace navit
