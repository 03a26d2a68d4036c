#include "worker/evaluation.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "worker/batch_source.h"
#include "worker/model/batch.h"
#include "worker/model/embed.h"
#include "worker/model/retrieval.h"

namespace navit {
namespace {

// Embeddings of all ranks on every rank, in rank order.
absl::Status GatherEmbeddings(int64_t dim, Embeddings* embeddings, Collective* collective) {
  const uint64_t mine = embeddings->caption_hashes.size();
  std::vector<uint64_t> pairs(collective->world_size());
  NAVIT_RETURN_IF_ERROR(collective->AllGather(
      absl::MakeConstSpan(&mine, 1), std::vector<size_t>(pairs.size(), 1), absl::MakeSpan(pairs)));
  std::vector<size_t> counts(pairs.begin(), pairs.end());
  std::vector<size_t> float_counts;
  size_t total = 0;
  for (size_t count : counts) {
    float_counts.push_back(count * dim);
    total += count;
  }
  std::vector<uint64_t> hashes(total);
  NAVIT_RETURN_IF_ERROR(
      collective->AllGather(embeddings->caption_hashes, counts, absl::MakeSpan(hashes)));
  embeddings->caption_hashes.swap(hashes);
  for (std::vector<float>* rows : {&embeddings->images, &embeddings->texts}) {
    std::vector<float> all(total * dim);
    NAVIT_RETURN_IF_ERROR(collective->AllGather(*rows, float_counts, absl::MakeSpan(all)));
    rows->swap(all);
  }
  return absl::OkStatus();
}

void AddScores(const std::string& name, const std::array<double, 3>& values, uint32_t token_budget,
               const char* suffix, v1::Scores* scores) {
  for (size_t i = 0; i < values.size(); ++i) {
    v1::Scores::Score* score = scores->add_scores();
    score->set_metric(absl::StrCat(name, "/r@", RetrievalResult::kRanks[i], suffix));
    score->set_token_budget(token_budget);
    score->set_value(values[i]);
  }
}

}  // namespace

absl::Status EvaluateRetrieval(v1::Split split, uint64_t step, uint32_t token_budget,
                               const ParameterTable& table, const ModelState& state,
                               kernels::ThreadPool* pool, Collective* collective, RunClient* client,
                               v1::Scores* scores) {
  const int rank = collective->rank();
  Embeddings embeddings;
  embeddings.dim = table.config().embedding_dim;
  NAVIT_RETURN_IF_ERROR(PullEvaluation(
      client, rank, collective->world_size(), split,
      [&](const v1::PullReply& pack) -> absl::Status {
        NAVIT_ASSIGN_OR_RETURN(const Batch batch, ParseBatch(pack.payload(), table.config()));
        Embed(table, state.parameters.span(), batch, pool, &embeddings);
        return absl::OkStatus();
      }));
  const auto key = [&](int r) { return absl::StrCat("evaluated/", step, "/", split, "/", r); };
  NAVIT_RETURN_IF_ERROR(client->Set(key(rank), "done"));
  std::vector<std::string> keys;
  for (int r = 0; r < collective->world_size(); ++r) keys.push_back(key(r));
  NAVIT_RETURN_IF_ERROR(client->Get(keys, client->options().grace).status());
  NAVIT_RETURN_IF_ERROR(GatherEmbeddings(table.config().embedding_dim, &embeddings, collective));
  if (rank != 0) return absl::OkStatus();

  const RetrievalResult result =
      Retrieve(embeddings.images, embeddings.texts, embeddings.dim, embeddings.caption_hashes);
  const std::string name = split == v1::SPLIT_VALIDATION ? "heldout" : "trained";
  AddScores(name + "/image_to_text", result.image_to_text, token_budget, "", scores);
  AddScores(name + "/image_to_text", result.chance, token_budget, "/chance", scores);
  AddScores(name + "/text_to_image", result.text_to_image, token_budget, "", scores);
  AddScores(name + "/text_to_image", result.chance, token_budget, "/chance", scores);
  NAVIT_LOG(INFO) << "step " << step << ": " << name << " retrieval over " << result.pairs
                  << " pairs: image to text r@5 " << result.image_to_text[1]
                  << ", text to image r@5 " << result.text_to_image[1] << ", chance "
                  << result.chance[1];
  return absl::OkStatus();
}

}  // namespace navit
