#include "worker/weights/model_card.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
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

}  // namespace

std::string ModelCard(const StoredModel& model) {
  const v1::JobSpec& spec = model.spec;
  const ModelConfig& config = model.table.config();
  const v1::ImageTowerSpec& image = spec.model().image();
  const std::string towers = TowerRow("image", config.image) + TowerRow("text", config.text);
  const std::string size = absl::StrFormat("%.1f million", model.table.parameter_count() / 1e6);
  return absl::Substitute(
             R"(---
library_name: navit
tags: [navit, vision-transformer, image-text-embeddings]
---
# $0

A NaViT vision transformer and a text transformer that put images and captions into one space of
$1 dimensions: related ones point the same way. The image tower takes images of any size and aspect
ratio in patches of $2 x $2 pixels, up to $3 patches a side. $4 parameters, float32.

| tower | width | blocks | MLP | heads | pooling |
|---|---|---|---|---|---|
$5
Positions: $6, $7 coordinates. Tokenizer: `$8`, at most $9 tokens.

)",
             spec.name(), config.embedding_dim, config.patch_size, config.max_grid, size, towers,
             Lower(Image::PositionEmbedding_Name(image.position_embedding())),
             Lower(Image::Coordinates_Name(image.position_coordinates())),
             spec.model().text().tokenizer(), config.max_text_tokens) +
         absl::Substitute(R"(## Training

$0 steps of a job of $1, loss $2, AdamW at a peak learning rate of $3, sequences of $4 image tokens,
$5 of them a step, images at effective resolutions of $6 to $7 pixels, on

$8
## Files

- `model.safetensors`: the weights by name
- `config.json`: the model in the words of a job file
- `preprocess.json`: from pixels to patches

## Use

    navit-embed --model FOLDER image.jpg
    echo "a red boat" | navit-embed --model FOLDER --captions
    examples/embed_with_numpy.py FOLDER --pixels image.npy     (numpy alone; readable)

The dot product of two embeddings is their cosine. What is not known here, and belongs into a card
before the weights are given away: the licence of weights and data, intended use, and evaluations.
)",
                          model.step, Length(spec.train_for()),
                          Lower(v1::LossSpec::Kind_Name(spec.loss().kind())), spec.optimizer().lr(),
                          spec.packing().sequence_length(), spec.packing().sequences_per_step(),
                          spec.resolution().min_pixels(), spec.resolution().max_pixels(),
                          Data(spec.data()));
}

}  // namespace navit
