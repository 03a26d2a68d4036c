#include "kernels/cuda/linear_choices.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/files.h"
#include "gtest/gtest.h"
#include "kernels/cuda/linear_choices_file.h"

namespace navit::kernels::cuda {
namespace {

const LinearDevice kDevice = {"NVIDIA H200", "9.0", 130100};

LinearChoice ForwardOf(int64_t rows, int32_t id) {
  LinearChoice choice;
  choice.shape = {LinearPass::kForward, LinearEpilogue::kBias, false, rows, 768, 2304};
  choice.algorithm.id = id;
  choice.first_seconds = 182e-6;
  choice.chosen_seconds = 150e-6;
  return choice;
}

// One of each pass and epilogue, every number another.
LinearChoices OneOfEach() {
  using enum LinearEpilogue;
  LinearChoices all = {kDevice, {}};
  int32_t number = 0;
  const auto add = [&](LinearPass pass, LinearEpilogue epilogue, bool accumulate) {
    LinearChoice choice;
    choice.shape = {pass, epilogue, accumulate, 16384 + number, 768 + number, 3072 + number};
    const auto n = static_cast<uint32_t>(10 * ++number);
    choice.algorithm = {static_cast<int32_t>(n),         n + 1, n + 2, static_cast<int32_t>(n + 3),
                        kReductionComputeType,           n + 5, n + 6, static_cast<uint16_t>(n + 7),
                        static_cast<uint16_t>(65535 - n)};
    choice.first_seconds = 1e-6 * (n + 0.25);
    choice.chosen_seconds = 1e-6 / 3 * n;
    all.choices.push_back(choice);
  };
  for (const bool accumulate : {false, true}) {
    add(LinearPass::kForward, kNone, accumulate);
    add(LinearPass::kForward, kBias, accumulate);
    add(LinearPass::kBackwardInput, kNone, accumulate);
  }
  add(LinearPass::kForward, kGeluBias, false);
  add(LinearPass::kBackwardInput, kGeluGradient, false);
  add(LinearPass::kBackwardWeight, kNone, true);
  return all;
}

int32_t Found(const LinearChoices& choices, int64_t rows) {
  const LinearChoice* const found = FindLinearChoice(choices, ForwardOf(rows, 0).shape);
  return found == nullptr ? -1 : found->algorithm.id;
}

TEST(FindLinearChoice, TakesTheNearestRatioOfRows) {
  const LinearChoices choices = {
      kDevice, {ForwardOf(16384, 3), ForwardOf(4096, 2), ForwardOf(1000, 1), ForwardOf(32768, 4)}};
  EXPECT_EQ(3, Found(choices, 16384));
  EXPECT_EQ(3, Found(choices, 16383));
  EXPECT_EQ(3, Found(choices, 12000));
  EXPECT_EQ(2, Found(choices, 8000));
  EXPECT_EQ(2, Found(choices, 8192));  // as near to both
  EXPECT_EQ(3, Found(choices, 8193));
  EXPECT_EQ(3, Found(choices, 23170));
  EXPECT_EQ(4, Found(choices, 23171));
  EXPECT_EQ(4, Found(choices, 65536));
  EXPECT_EQ(-1, Found(choices, 65537));
  EXPECT_EQ(1, Found(choices, 500));
  EXPECT_EQ(-1, Found(choices, 499));
  EXPECT_EQ(-1, Found({}, 16384));
}

TEST(FindLinearChoice, WantsAllElseOfTheShape) {
  const LinearChoices choices = {kDevice, {ForwardOf(16384, 1)}};
  const LinearShape shape = choices.choices[0].shape;
  EXPECT_NE(nullptr, FindLinearChoice(choices, shape));
  LinearShape other = shape;
  other.pass = LinearPass::kBackwardInput;
  EXPECT_EQ(nullptr, FindLinearChoice(choices, other));
  other = shape;
  other.epilogue = LinearEpilogue::kNone;
  EXPECT_EQ(nullptr, FindLinearChoice(choices, other));
  other = shape;
  other.accumulate = true;
  EXPECT_EQ(nullptr, FindLinearChoice(choices, other));
  other = shape;
  other.in = 776;
  EXPECT_EQ(nullptr, FindLinearChoice(choices, other));
  other = shape;
  other.out = 768;
  EXPECT_EQ(nullptr, FindLinearChoice(choices, other));
}

TEST(IsReproducible, SplitSumsWaitInTheWorkspace) {
  LinearAlgorithm algorithm;
  EXPECT_TRUE(IsReproducible(algorithm));
  algorithm.split_k = 4;
  EXPECT_FALSE(IsReproducible(algorithm));
  algorithm.reduction = kReductionComputeType;
  EXPECT_TRUE(IsReproducible(algorithm));
  for (const uint32_t other : {1u, 4u, 3u}) {
    algorithm.reduction = other;
    EXPECT_FALSE(IsReproducible(algorithm)) << other;
    algorithm.split_k = 1;
    EXPECT_FALSE(IsReproducible(algorithm)) << other;
  }
}

TEST(LinearChoicesFile, ReadsWhatItWrites) {
  const LinearChoices all = OneOfEach();
  const std::string text = FormatLinearChoices(all);
  const auto parsed = ParseLinearChoices(text, "file");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(all.device, parsed->device);
  ASSERT_EQ(all.choices.size(), parsed->choices.size());
  for (size_t i = 0; i < all.choices.size(); ++i) {
    EXPECT_EQ(all.choices[i].shape, parsed->choices[i].shape);
    EXPECT_EQ(all.choices[i].algorithm, parsed->choices[i].algorithm);
    EXPECT_NEAR(1, all.choices[i].first_seconds / parsed->choices[i].first_seconds, 1e-5);
    EXPECT_NEAR(1, all.choices[i].chosen_seconds / parsed->choices[i].chosen_seconds, 1e-5);
  }
}

TEST(LinearChoicesFile, HasTheFormOfItsDescription) {
  LinearChoices choices = {kDevice, {ForwardOf(16384, 66)}};
  choices.choices[0].algorithm.cluster_shape = 3;
  EXPECT_EQ(
      "navit-linear-choices 1\ndevice=NVIDIA H200\ncapability=9.0\ncublaslt=130100\n"
      "pass=forward epilogue=bias accumulate=0 rows=16384 in=768 out=2304 id=66 tile=0 stages=0 "
      "split_k=1 reduction=0 swizzle=0 custom_option=0 inner_shape=0 cluster_shape=3 "
      "first_us=182 chosen_us=150\n",
      FormatLinearChoices(choices));
  EXPECT_EQ("forward bias rows=16384 in=768 out=2304", LinearShapeText(choices.choices[0].shape));
}

TEST(LinearChoicesFile, PassesOverCommentsAndEmptyLines) {
  const std::string text = FormatLinearChoices(OneOfEach());
  const auto parsed = ParseLinearChoices(
      "# 28 November\r\n\n" + absl::StrReplaceAll(text, {{"\n", "\r\n\r\n#\n"}}), "file");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(OneOfEach().choices.size(), parsed->choices.size());
}

TEST(LinearChoicesFile, AnErrorNamesFileAndLine) {
  const std::string text = FormatLinearChoices({kDevice, {ForwardOf(16384, 66)}});
  const std::string line = text.substr(text.find("pass="));
  struct Case {
    const char *from, *to, *error;
  };
  for (const auto& [from, to, error] : {
           Case{"navit-linear-choices 1", "navit-linear-choices 2",
                "1: does not start with \"navit-linear-choices 1\""},
           Case{"device=NVIDIA H200\n", "", "2: \"capability=9.0\" stands where device= belongs"},
           Case{"capability=9.0", "capability=", "3: \"\" stands where capability= belongs"},
           Case{"cublaslt=130100", "cublaslt=13.1", "4: cublaslt: \"13.1\" is no number"},
           Case{"pass=forward ", "", "5: \"epilogue=bias\" stands where pass= belongs"},
           Case{"pass=forward", "pass=sideways", "5: pass: \"sideways\" is no value for it"},
           Case{"epilogue=bias", "epilogue=relu", "5: epilogue: \"relu\" is no value for it"},
           Case{"accumulate=0", "accumulate=2", "5: accumulate: \"2\" is no value for it"},
           Case{"rows=16384", "rows=many", "5: rows: \"many\" is no value for it"},
           Case{"rows=16384", "rows=0", "5: rows, in and out are at least 1"},
           Case{"in=768", "in=-8", "5: rows, in and out are at least 1"},
           Case{"in=768 out=2304", "out=2304 in=768", "5: \"out=2304\" stands where in= belongs"},
           Case{"cluster_shape=0", "cluster_shape=65536",
                "5: cluster_shape: \"65536\" is no value for it"},
           Case{"tile=0", "tile=-1", "5: tile: \"-1\" is no value for it"},
           Case{" chosen_us=150", "", "5: chosen_us is missing"},
           Case{"chosen_us=150", "chosen_us=150 more=1", "5: \"more=1\" is too much"},
           Case{"chosen_us=150", "chosen_us=0", "5: times are above 0"},
           Case{"first_us=182", "first_us=nan", "5: first_us: \"nan\" is no value for it"},
           Case{"pass=forward", "pass=backward_input", "5: epilogue=bias belongs to pass=forward"},
           Case{"epilogue=bias", "epilogue=gelu_gradient",
                "5: epilogue=gelu_gradient belongs to pass=backward_input"},
           Case{"epilogue=bias accumulate=0", "epilogue=gelu_bias accumulate=1",
                "5: a product with GELU does not accumulate"},
           Case{"pass=forward epilogue=bias", "pass=backward_weight epilogue=none",
                "5: pass=backward_weight always accumulates"},
           Case{"split_k=1", "split_k=3", "5: split_k=3 with reduction=0 adds in another order"},
           Case{"reduction=0", "reduction=1",
                "5: split_k=1 with reduction=1 adds in another order"},
       }) {
    const std::string wrong = absl::StrReplaceAll(text, {{from, to}});
    ASSERT_NE(text, wrong) << from;
    const auto parsed = ParseLinearChoices(wrong, "some/file");
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, parsed.status().code()) << to;
    EXPECT_EQ(0u, parsed.status().message().find(absl::StrCat("some/file:", error)))
        << parsed.status();
  }
  EXPECT_EQ("f:7: forward bias rows=16384 in=768 out=2304 has a line already",
            ParseLinearChoices(absl::StrCat(text, "\n", line), "f").status().message());
  EXPECT_EQ("f:3: ends before its lines of device and version",
            ParseLinearChoices(text.substr(0, text.find("capability")), "f").status().message());
  EXPECT_EQ("f:1: ends before its lines of device and version",
            ParseLinearChoices("", "f").status().message());
}

TEST(LinearChoicesFile, IsReadFromDisk) {
  const std::string path = testing::TempDir() + "/choices";
  EXPECT_EQ(absl::StatusCode::kNotFound, ReadLinearChoices(path).status().code());
  ASSERT_TRUE(AtomicWriteFile(path, FormatLinearChoices({kDevice, {}})).ok());
  EXPECT_EQ(kDevice, ReadLinearChoices(path)->device);
  ASSERT_TRUE(AtomicWriteFile(path, "text\n").ok());
  EXPECT_EQ(path + ":1: does not start with \"navit-linear-choices 1\"",
            ReadLinearChoices(path).status().message());
}

TEST(WhyNotHere, NamesBothDevices) {
  EXPECT_EQ("", WhyNotHere(kDevice, kDevice));
  for (const LinearDevice& here :
       {LinearDevice{"NVIDIA H100", "9.0", 130100}, LinearDevice{"NVIDIA H200", "9.1", 130100},
        LinearDevice{"NVIDIA H200", "9.0", 130200}}) {
    EXPECT_EQ(absl::StrCat("they are for NVIDIA H200 (9.0) with cuBLASLt 130100, and here is ",
                           here.name, " (", here.capability, ") with cuBLASLt ", here.cublaslt),
              WhyNotHere(kDevice, here));
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
