// How the engine comes to an algorithm, over functions that play cuBLASLt: no GPU, no numbers.
#include <cublasLt.h>

#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/linear_candidates.h"

namespace navit::kernels::cuda {
namespace {

// What the functions below answer, and what they were asked for.
struct Play {
  // What the heuristic proposes, in this order.
  std::vector<LinearAlgorithm> proposed;
  // Workspace that an algorithm needs, by its id; ids that are not here are unknown.
  std::map<int, size_t> workspace;
  // Ids that cublasLtMatmul refuses.
  std::set<int> refused;

  int asked = 0;  // the heuristic
  uint32_t reductions = 0;
  uint64_t workspace_limit = 0;
  std::vector<LinearAlgorithm> run;
};
Play* play = nullptr;

// An algorithm of ours is a configuration and nothing else.
using Opaqued = std::array<unsigned char, sizeof(LinearAlgorithm)>;

LinearAlgorithm Configuration(const cublasLtMatmulAlgo_t& algorithm) {
  Opaqued bytes;
  std::memcpy(bytes.data(), &algorithm, sizeof(bytes));
  return std::bit_cast<LinearAlgorithm>(bytes);
}
cublasLtMatmulAlgo_t Opaque(const LinearAlgorithm& configuration) {
  cublasLtMatmulAlgo_t algorithm = {};
  static_assert(sizeof(configuration) <= sizeof(algorithm));
  std::memcpy(&algorithm, &configuration, sizeof(configuration));
  return algorithm;
}

// call(value) for the attribute's place in the configuration.
template <typename Call>
cublasStatus_t AtAttribute(LinearAlgorithm& of, cublasLtMatmulAlgoConfigAttributes_t attribute,
                           const Call& call) {
  switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID:
      return call(of.id);
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
      return call(of.tile);
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
      return call(of.split_k);
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
      return call(of.reduction);
    case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
      return call(of.swizzle);
    case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION:
      return call(of.custom_option);
    case CUBLASLT_ALGO_CONFIG_STAGES_ID:
      return call(of.stages);
    case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
      return call(of.inner_shape);
    case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID:
      return call(of.cluster_shape);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

}  // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(play);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t,
                                        cudaDataType_t) {
  *made = new cublasLtMatmulDescOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  delete operation;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t,
                                              const void*, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType, uint64_t,
                                          uint64_t, int64_t) {
  *made = new cublasLtMatrixLayoutOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  *made = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    if (bytes != sizeof(play->workspace_limit)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&play->workspace_limit, value, bytes);
  } else if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
    if (bytes != sizeof(play->reductions)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&play->reductions, value, bytes);
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
  ++play->asked;
  *found = 0;
  for (const LinearAlgorithm& algorithm : play->proposed) {
    if (*found == wanted) break;
    results[*found].algo = Opaque(algorithm);
    results[*found].state = CUBLAS_STATUS_SUCCESS;
    ++*found;
  }
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t,
                                      cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, int id, cublasLtMatmulAlgo_t* algorithm) {
  if (play->workspace.count(id) == 0) return CUBLAS_STATUS_INVALID_VALUE;
  LinearAlgorithm configuration;
  configuration.id = id;
  *algorithm = Opaque(configuration);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                       cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                       cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                       const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
  result->workspaceSize = play->workspace.at(Configuration(*algorithm).id);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* to, size_t bytes, size_t* written) {
  LinearAlgorithm configuration = Configuration(*algorithm);
  return AtAttribute(configuration, attribute, [&](const auto& value) {
    if (bytes != sizeof(value)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(to, &value, bytes);
    *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
  });
}
cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void* from, size_t bytes) {
  LinearAlgorithm configuration = Configuration(*algorithm);
  const cublasStatus_t status = AtAttribute(configuration, attribute, [&](auto& value) {
    if (bytes != sizeof(value)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&value, from, bytes);
    return CUBLAS_STATUS_SUCCESS;
  });
  *algorithm = Opaque(configuration);
  return status;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t, const void*, const void*,
                              cublasLtMatrixLayout_t, const void*, cublasLtMatrixLayout_t,
                              const void*, const void*, cublasLtMatrixLayout_t, void*,
                              cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t* algorithm, void*,
                              size_t, cudaStream_t) {
  const LinearAlgorithm configuration = Configuration(*algorithm);
  if (play->refused.count(configuration.id) != 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  play->run.push_back(configuration);
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"

namespace {

constexpr int64_t kWorkspaceBytes = 1000;
constexpr int kFirst = 1, kChosen = 2;

LinearAlgorithm Algorithm(int id) {
  LinearAlgorithm algorithm;
  algorithm.id = id;
  algorithm.tile = 10 * id + 1;
  algorithm.stages = 10 * id + 2;
  algorithm.split_k = 10 * id + 3;
  algorithm.reduction = kReductionComputeType;
  algorithm.swizzle = 10 * id + 5;
  algorithm.custom_option = 10 * id + 6;
  algorithm.inner_shape = 10 * id + 7;
  algorithm.cluster_shape = 10 * id + 8;
  return algorithm;
}

class LinearEngineTest : public testing::Test {
 protected:
  LinearEngineTest() {
    play = &play_;
    play_.proposed = {Algorithm(kFirst)};
    play_.workspace[kChosen] = kWorkspaceBytes;
  }

  // An engine with a choice for the forward pass of 1024 rows with a bias.
  std::unique_ptr<LinearEngine> WithChoice() {
    LinearChoice choice;
    choice.shape = {LinearPass::kForward, LinearEpilogue::kBias, false, 1024, 64, 128};
    choice.algorithm = Algorithm(kChosen);
    return LinearEngine::Create(nullptr, kWorkspaceBytes, {{}, {choice}});
  }

  // Runs it, and returns the algorithm that ran.
  LinearAlgorithm Forward(LinearEngine& engine, int64_t rows, const Bf16* bias) {
    const Bf16 value = {};
    Bf16 to = {};
    EXPECT_EQ(0, engine.Forward({rows, 64, 128, &value, &value, bias, &to}, nullptr).code);
    return play_.run.empty() ? LinearAlgorithm() : play_.run.back();
  }

  Play play_;
  const Bf16 bias_ = {};
};

TEST_F(LinearEngineTest, TakesTheHeuristicsFirstAndAsksOnce) {
  const auto engine = LinearEngine::Create(nullptr, kWorkspaceBytes);
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(1, play_.asked);
  EXPECT_EQ(static_cast<uint64_t>(kWorkspaceBytes), play_.workspace_limit);
  EXPECT_EQ(static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_MASK), play_.reductions);
  EXPECT_EQ(0, engine->ChosenShapes());
}

TEST_F(LinearEngineTest, TakesAChoiceWithAllOfItsAttributes) {
  const auto engine = WithChoice();
  EXPECT_EQ(Algorithm(kChosen), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(Algorithm(kChosen), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(1, engine->ChosenShapes());
  EXPECT_EQ(Algorithm(kChosen), Forward(*engine, 1000, &bias_));
  EXPECT_EQ(2, engine->ChosenShapes());
  EXPECT_EQ(0, play_.asked);
}

TEST_F(LinearEngineTest, TakesTheFirstForEveryOtherProduct) {
  const auto engine = WithChoice();
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 1024, nullptr));
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 3000, &bias_));
  // The same product as far as cuBLASLt sees.
  const Bf16 value = {};
  float sum = 0;
  EXPECT_EQ(
      0, engine->Multiply({1024, 128, 64, &value, 64, false, &value, 64, true, &sum, 128}, nullptr)
             .code);
  EXPECT_EQ(Algorithm(kFirst), play_.run.back());
  EXPECT_EQ(0, engine->ChosenShapes());
}

TEST_F(LinearEngineTest, FallsBackWhereCublasLtDoesNotKnowTheAlgorithm) {
  play_.workspace.clear();
  const auto engine = WithChoice();
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(0, engine->ChosenShapes());
}

TEST_F(LinearEngineTest, FallsBackWhereTheWorkspaceIsTooSmall) {
  play_.workspace[kChosen] = kWorkspaceBytes + 1;
  const auto engine = WithChoice();
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(0, engine->ChosenShapes());
}

TEST_F(LinearEngineTest, FallsBackForGoodWhereTheAlgorithmRefusesToRun) {
  play_.refused = {kChosen};
  const auto engine = WithChoice();
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(Algorithm(kFirst), Forward(*engine, 1024, &bias_));
  EXPECT_EQ(1, play_.asked);
  EXPECT_EQ(0, engine->ChosenShapes());
}

TEST_F(LinearEngineTest, AnErrorOfTheFirstIsTheCallers) {
  play_.refused = {kFirst};
  const auto engine = LinearEngine::Create(nullptr, kWorkspaceBytes);
  const Bf16 value = {};
  Bf16 to = {};
  EXPECT_EQ(LinearEngine::kCublasErrors + CUBLAS_STATUS_NOT_SUPPORTED,
            engine->Forward({1, 64, 128, &value, &value, nullptr, &to}, nullptr).code);
  play_.proposed.clear();
  EXPECT_EQ(LinearEngine::kCublasErrors + CUBLAS_STATUS_NOT_SUPPORTED,
            engine->Forward({2, 64, 128, &value, &value, nullptr, &to}, nullptr).code);
}

TEST_F(LinearEngineTest, CandidatesAreReproducibleAndCanBeMadeAnew) {
  LinearAlgorithm in_place = Algorithm(3);
  in_place.reduction = CUBLASLT_REDUCTION_SCHEME_INPLACE;
  play_.proposed = {Algorithm(1), in_place, Algorithm(2), Algorithm(1), Algorithm(4), Algorithm(5)};
  for (const int id : {1, 2, 3}) play_.workspace[id] = 0;
  play_.workspace[4] = kWorkspaceBytes + 1;
  const LinearShape shape = {LinearPass::kBackwardWeight, LinearEpilogue::kNone, true, 9, 64, 128};
  const std::vector<LinearAlgorithm> found = LinearCandidates(shape, nullptr, kWorkspaceBytes, 8);
  ASSERT_EQ(2u, found.size());
  EXPECT_EQ(Algorithm(1), found[0]);
  EXPECT_EQ(Algorithm(2), found[1]);
  EXPECT_EQ(static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE), play_.reductions);
  EXPECT_EQ(1u, LinearCandidates(shape, nullptr, kWorkspaceBytes, 1).size());
  play_.proposed.clear();
  EXPECT_TRUE(LinearCandidates(shape, nullptr, kWorkspaceBytes, 8).empty());
}

}  // namespace
}  // namespace navit::kernels::cuda
