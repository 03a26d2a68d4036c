#include "worker/weights/model_card.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/substitute.h"

namespace navit {
namespace {

using Image = v1::ImageTowerSpec;

std::string Lower(absl::string_view name) { return absl::AsciiStrToLower(name); }

std::string TowerRow(absl::string_view name, const TowerConfig& tower) {
  return absl::StrFormat("| %s | %d | %d | %d | %d | %s |\n", name, tower.width, tower.depth,
                         tower.mlp_dim, tower.heads, Lower(Image::Pooling_Name(tower.pooling)));
}

std::string Length(const v1::TrainFor& train_for) {
  if (train_for.has_steps()) return absl::StrCat(train_for.steps(), " steps");
  if (train_for.has_epochs()) return absl::StrCat(train_for.epochs(), " epochs");
  return absl::StrCat(train_for.examples(), " examples");
}

std::string Data(const v1::DataSpec& data) {
  std::string text;
  for (const v1::Dataset& dataset : data.train()) {
    absl::StrAppend(&text, "- `", dataset.shards(), "`");
    if (data.train_size() > 1) absl::StrAppend(&text, ", weight ", dataset.weight());
    absl::StrAppend(&text, "\n");
  }
  return text;
}

// What it is and what it does.
std::string Summary(const StoredModel& model) {
  const ModelConfig& config = model.table.config();
  if (config.has_text()) {
    return absl::StrCat(
        "A NaViT vision transformer and a text transformer that put images and captions into one "
        "space of\n",
        config.embedding_dim, " dimensions: related ones point the same way.");
  }
  return absl::StrCat("A NaViT vision transformer that sorts images into ", config.classes,
                      " classes.");
}

std::string Architecture(const StoredModel& model) {
  const ModelConfig& config = model.table.config();
  const v1::ModelSpec& spec = model.spec.model();
  std::string text = absl::Substitute(
      R"(# $0

$1 The image tower takes images of any size and aspect ratio in patches of $2 x $2 pixels, up to $3
patches a side. $4 parameters, float32.

| tower | width | blocks | MLP | heads | pooling |
|---|---|---|---|---|---|
$5$6
Positions: $7, $8 coordinates.)",
      model.spec.name(), Summary(model), config.patch_size, config.max_grid,
      absl::StrFormat("%.1f million", model.table.parameter_count() / 1e6),
      TowerRow("image", config.image), config.has_text() ? TowerRow("text", config.text) : "",
      Lower(Image::PositionEmbedding_Name(spec.image().position_embedding())),
      Lower(Image::Coordinates_Name(spec.image().position_coordinates())));
  if (config.has_text()) {
    absl::StrAppend(&text, " Tokenizer: `", spec.text().tokenizer(), "`, at most ",
                    config.max_text_tokens, " tokens.");
  }
  return text + "\n\n";
}

std::string Training(const StoredModel& model) {
  const v1::JobSpec& spec = model.spec;
  return absl::Substitute(
      R"(## Training

$0 steps of a job of $1, loss $2, AdamW at a peak learning rate of $3, sequences of $4 image tokens,
$5 of them a step, images at effective resolutions of $6 to $7 pixels.$8 Data:

$9
)",
      model.step, Length(spec.train_for()), Lower(v1::LossSpec::Kind_Name(spec.loss().kind())),
      spec.optimizer().lr(), spec.packing().sequence_length(), spec.packing().sequences_per_step(),
      spec.resolution().min_pixels(), spec.resolution().max_pixels(),
      model.is_average ? absl::StrCat(" The weights are their moving average over the updates, of "
                                      "which each kept ",
                                      spec.optimizer().ema_decay(), ".")
                       : "",
      Data(spec.data()));
}

// A table of the scores, or nothing.
std::string Evaluation(const v1::StepScores& scores) {
  if (!scores.has_scores()) return "";
  std::string text = absl::StrCat("## Evaluation\n\nAfter step ", scores.step(),
                                  ", by image tokens per image.\n\n| score | tokens | value |\n"
                                  "|---|---|---|\n");
  for (const v1::Scores::Score& score : scores.scores().scores()) {
    if (absl::EndsWith(score.metric(), "/chance")) continue;
    absl::StrAppendFormat(&text, "| %s | %d | %.4f |\n", score.metric(), score.token_budget(),
                          score.value());
  }
  return text + "\n";
}

std::string Use(const ModelConfig& config) {
  if (config.has_text()) {
    return R"(    navit-embed --model FOLDER image.jpg
    echo "a red boat" | navit-embed --model FOLDER --captions
    examples/embed_with_numpy.py FOLDER --pixels image.npy     (numpy alone; readable)

The dot product of two embeddings is their cosine.)";
  }
  return R"(    navit-embed --model FOLDER --features image.jpg

The logits of the classes are `image.classifier.weight` times these features plus
`image.classifier.bias`.)";
}

}  // namespace

std::string ModelCard(const StoredModel& model, const v1::StepScores& scores) {
  const bool has_text = model.table.config().has_text();
  return absl::StrCat("---\nlibrary_name: navit\ntags: [navit, vision-transformer, ",
                      has_text ? "image-text-embeddings" : "image-classification", "]\n---\n",
                      Architecture(model), Training(model), Evaluation(scores),
                      R"(## Files

- `model.safetensors`: the weights by name
- `config.json`: the model in the words of a job file
- `preprocess.json`: from pixels to patches
- `scores.json`: of the last evaluation, if there was one

## Use

)",
                      Use(model.table.config()), R"( What is not known here, and belongs into a card
before the weights are given away: the licence of weights and data, and intended use.
)");
}

}  // namespace navit
