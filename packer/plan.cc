#include "packer/plan.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/stream_layout.h"
#include "packer/caption_index.h"
#include "packer/example_draws.h"
#include "packer/limits.h"
#include "packer/philox.h"
#include "packer/row_packing.h"

namespace navit {
namespace {

// A split's samples, and how the captions of each of its data sets become tokens.
struct SplitData {
  struct Captions {
    CaptionTokenizer tokenizer;
    bool random = false;
    bool fail_without = false;
  };
  SampleRange range;
  // Of each data set; none in a job without a text tower.
  std::vector<Captions> captions;
};

absl::StatusOr<SplitData> MakeSplitData(
    SampleRange range, const google::protobuf::RepeatedPtrField<v1::Dataset>& datasets,
    const v1::ModelSpec& model, ObjectStore* store) {
  SplitData data{std::move(range), {}};
  if (!model.has_text()) return data;
  for (const v1::Dataset& dataset : datasets) {
    const v1::CaptionsSpec& captions = dataset.captions();
    NAVIT_ASSIGN_OR_RETURN(CaptionTokenizer tokenizer,
                           CaptionTokenizer::Create(store, captions, model.text()));
    data.captions.push_back({std::move(tokenizer), captions.choose() == v1::CaptionsSpec::RANDOM,
                             captions.if_missing() == v1::CaptionsSpec::FAIL});
  }
  return data;
}

// Where each row's captions begin in CaptionIndex.tokens.
std::vector<uint32_t> FirstCaptions(const v1::CaptionIndex& index) {
  std::vector<uint32_t> first = {0};
  first.reserve(static_cast<size_t>(index.counts_size()) + 1);
  for (const uint32_t count : index.counts()) first.push_back(first.back() + count);
  return first;
}

// Gives the example one of its captions that have tokens: the first, or one by `draws`. False: it
// has none.
bool ChooseCaption(const v1::CaptionIndex& index, uint32_t begin, uint32_t end, Draws* draws,
                   PlannedExample* example) {
  uint32_t usable = 0;
  for (uint32_t i = begin; i < end; ++i) usable += index.tokens(static_cast<int>(i)) > 0;
  if (usable == 0) return false;
  uint32_t skip = draws == nullptr ? 0 : draws->Below(usable);
  for (uint32_t i = begin; i < end; ++i) {
    const uint32_t tokens = index.tokens(static_cast<int>(i));
    if (tokens == 0 || skip-- > 0) continue;
    example->caption = i - begin;
    example->text_tokens = tokens;
    break;
  }
  return true;
}

// Why the index alone says that a sample has no tokens.
v1::HoleReason HoleByIndex(const v1::ShardIndex& index, int row) {
  if (index.image_bytes(row) == 0) return v1::HOLE_REASON_NO_IMAGE;
  if (index.image_formats(row) == v1::ShardIndex::IMAGE_FORMAT_OTHER) {
    return v1::HOLE_REASON_UNSUPPORTED_FORMAT;
  }
  if (index.image_bytes(row) > kMaxImageBytes ||
      uint64_t{index.widths(row)} * index.heights(row) > kMaxImagePixels) {
    return v1::HOLE_REASON_TOO_LARGE;
  }
  if (index.widths(row) == 0 || index.heights(row) == 0) return v1::HOLE_REASON_BAD_HEADER;
  return v1::HOLE_REASON_NONE;
}

// Of a pass over an evaluation split.
uint32_t TokenBudget(const v1::EvaluationSpec& evaluation, uint64_t pass) {
  return evaluation.token_budgets(static_cast<int>(pass));
}

// Fisher-Yates.
template <typename T>
void Shuffle(std::vector<T>& values, Draws draws) {
  for (size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[draws.Below(static_cast<uint32_t>(i))]);
  }
}

void AppendU64(uint64_t value, std::string* out) {
  for (int byte = 0; byte < 8; ++byte) out->push_back(static_cast<char>(value >> (8 * byte)));
}

// The canonical serialisation: every number as 8 bytes, little-endian, in the order of the structs.
uint64_t Digest(const WindowPlan& plan) {
  std::string bytes;
  bytes.reserve(8 * (8 * plan.examples.size() + plan.pack_begin.size() + 8));
  for (const uint64_t value :
       {uint64_t{kPlanVersion}, static_cast<uint64_t>(plan.split), plan.window, plan.epoch,
        uint64_t{plan.sequence_length}, uint64_t{plan.examples.size()}}) {
    AppendU64(value, &bytes);
  }
  for (const PlannedExample& e : plan.examples) {
    for (const uint64_t value :
         {uint64_t{e.dataset}, e.epoch, e.id, uint64_t{e.shard}, uint64_t{e.row},
          uint64_t{e.grid_rows}, uint64_t{e.grid_columns}, uint64_t{e.tokens}, uint64_t{e.side},
          uint64_t{e.caption}, uint64_t{e.text_tokens}, static_cast<uint64_t>(e.hole)}) {
      AppendU64(value, &bytes);
    }
  }
  for (const uint32_t begin : plan.pack_begin) AppendU64(begin, &bytes);
  return XXH3_64bits(bytes.data(), bytes.size());
}

// Puts the examples of `planned` into packs: those with tokens as `rows` (numbers into
// `with_tokens`, numbers into `planned`) says, holes spread evenly over the packs in order.
void FillPacks(const std::vector<PlannedExample>& planned, const std::vector<uint32_t>& with_tokens,
               const Rows& rows, const std::vector<uint32_t>& holes, uint32_t most_examples,
               WindowPlan* plan) {
  // A window of nothing but holes has packs too, so that each sample is seen and counted.
  const size_t packs = rows.empty()
                           ? std::max<size_t>(1, (holes.size() + most_examples - 1) / most_examples)
                           : rows.size();
  size_t next_hole = 0;
  for (size_t p = 0; p < packs; ++p) {
    if (!rows.empty()) {
      for (const uint32_t item : rows[p]) plan->examples.push_back(planned[with_tokens[item]]);
    }
    for (; next_hole < holes.size() * (p + 1) / packs; ++next_hole) {
      plan->examples.push_back(planned[holes[next_hole]]);
    }
    plan->pack_begin.push_back(static_cast<uint32_t>(plan->examples.size()));
  }
}

// The window's sentences in order, as many in a pack as a training pack may have examples.
WindowPlan PlanPrompts(const v1::JobSpec& spec, uint64_t window, const WindowExtent& extent) {
  WindowPlan plan;
  plan.split = v1::SPLIT_PROMPTS;
  plan.window = window;
  plan.sequence_length = spec.packing().sequence_length();
  const uint32_t most = spec.packing().max_examples_per_sequence();
  for (uint64_t i = 0; i < extent.samples; ++i) {
    PlannedExample& example = plan.examples.emplace_back();
    example.sample = example.id = extent.first_in_epoch + i;
    if ((i + 1) % most == 0 || i + 1 == extent.samples) {
      plan.pack_begin.push_back(static_cast<uint32_t>(i + 1));
    }
  }
  plan.digest = Digest(plan);
  return plan;
}

absl::Status Invalid(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

// What the arithmetic of this file relies on; submit has checked all of it with better words.
absl::Status CheckSpec(const v1::JobSpec& spec) {
  const v1::PackingSpec& packing = spec.packing();
  if (packing.plan_version() != kPlanVersion) {
    return Invalid("packing.plan_version",
                   absl::StrCat("this packer makes version ", kPlanVersion, ", the job wants ",
                                packing.plan_version()));
  }
  if (spec.data().train_size() > 1 && spec.train_for().has_epochs()) {
    return Invalid("train_for.epochs", "a mixture has no common epoch");
  }
  if (spec.data().validation_size() > 1) {
    return Invalid("data.validation", "must have at most one entry");
  }
  if (packing.sequence_length() == 0 || packing.sequence_length() > 65536) {
    return Invalid("packing.sequence_length", "must be in [1, 65536]");
  }
  if (spec.model().image().prefix_tokens() >= packing.sequence_length()) {
    return Invalid("packing.sequence_length", "must be above model.image.prefix_tokens");
  }
  if (packing.max_examples_per_sequence() == 0) {
    return Invalid("packing.max_examples_per_sequence", "must be at least 1");
  }
  if (!(packing.exact_fit() >= 0 && packing.exact_fit() <= 0.5)) {
    return Invalid("packing.exact_fit", "must be in [0, 0.5]");
  }
  if (packing.window_samples() == 0) return Invalid("packing.window_samples", "must be positive");
  return absl::OkStatus();
}

}  // namespace

struct WindowPlanner::Impl {
  explicit Impl(ExampleDraws example_draws) : draws(std::move(example_draws)) {}

  v1::JobSpec spec;
  std::shared_ptr<const v1::DataManifest> manifest;
  std::shared_ptr<IndexCache> indexes;
  std::optional<SplitData> train;
  std::optional<SplitData> validation;
  ExampleDraws draws;

  absl::StatusOr<std::vector<PlannedExample>> PlanExamples(const SplitData& data, v1::Split split,
                                                           const StreamLayout& layout,
                                                           uint64_t window) const;
};

// The samples of a window in order, with their tokens or the reason for none.
absl::StatusOr<std::vector<PlannedExample>> WindowPlanner::Impl::PlanExamples(
    const SplitData& data, v1::Split split, const StreamLayout& layout, uint64_t window) const {
  const WindowExtent extent = layout.Window(window);
  const std::vector<OrderedSample> ordered =
      split == v1::SPLIT_TRAIN
          ? data.range.Drawn(layout, window, spec.seed(), spec.packing().window_samples())
          : data.range.InShardOrder(extent.first_in_epoch, extent.samples,
                                    layout.dataset_samples(0));
  std::vector<PlannedExample> examples(ordered.size());
  std::shared_ptr<const v1::ShardIndex> index;
  std::shared_ptr<const v1::CaptionIndex> caption_index;
  std::vector<uint32_t> first_captions;
  for (size_t i = 0; i < ordered.size(); ++i) {
    PlannedExample& example = examples[i];
    static_cast<OrderedSample&>(example) = ordered[i];
    const v1::ShardEntry& shard = data.range.Shard(example.shard);
    const SplitData::Captions* captions =
        data.captions.empty() ? nullptr : &data.captions[example.dataset];
    if (i == 0 || example.shard != ordered[i - 1].shard) {
      NAVIT_ASSIGN_OR_RETURN(index, indexes->Get(shard));
      if (captions != nullptr) {
        NAVIT_ASSIGN_OR_RETURN(caption_index, indexes->GetCaptions(shard, captions->tokenizer));
        first_captions = FirstCaptions(*caption_index);
      }
    }
    const int row = static_cast<int>(example.row);
    example.hole = HoleByIndex(*index, row);
    Draws draw(spec.seed(), example.dataset, example.epoch, example.sample, Purpose::kCaption);
    if (captions != nullptr &&
        !ChooseCaption(*caption_index, first_captions[example.row], first_captions[example.row + 1],
                       captions->random && split == v1::SPLIT_TRAIN ? &draw : nullptr, &example)) {
      if (captions->fail_without) {
        return absl::FailedPreconditionError(
            absl::StrCat(shard.path(), ": sample ", index->keys(row),
                         " has no caption, and captions.if_missing is fail"));
      }
      if (example.hole == v1::HOLE_REASON_NONE) example.hole = v1::HOLE_REASON_NO_CAPTION;
    }
    if (example.hole != v1::HOLE_REASON_NONE) {
      example.caption = example.text_tokens = 0;
      continue;
    }
    const uint32_t width = index->widths(row), height = index->heights(row);
    const DrawnTokens drawn =
        split == v1::SPLIT_TRAIN
            ? draws.Training(width, height, example.dataset, example.epoch, example.sample,
                             extent.first_in_stream + i)
            : draws.Evaluation(width, height, TokenBudget(spec.evaluation(), extent.epoch));
    example.grid_rows = drawn.grid_rows;
    example.grid_columns = drawn.grid_columns;
    example.tokens = drawn.tokens;
    example.side = drawn.side;
  }
  return examples;
}

WindowPlanner::WindowPlanner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WindowPlanner::~WindowPlanner() = default;
const v1::JobSpec& WindowPlanner::spec() const { return impl_->spec; }
const v1::DataManifest& WindowPlanner::manifest() const { return *impl_->manifest; }

absl::StatusOr<std::unique_ptr<WindowPlanner>> WindowPlanner::Create(
    const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest,
    std::shared_ptr<IndexCache> indexes) {
  NAVIT_RETURN_IF_ERROR(CheckSpec(spec));
  if (manifest->train_size() == 0) {
    return absl::InvalidArgumentError("manifest: no training shards");
  }
  if (manifest->train_datasets_size() != spec.data().train_size()) {
    return absl::InvalidArgumentError(absl::StrCat("manifest: ", manifest->train_datasets_size(),
                                                   " data sets, data.train has ",
                                                   spec.data().train_size()));
  }
  NAVIT_ASSIGN_OR_RETURN(SampleRange train,
                         SampleRange::Create(manifest->train(), manifest->train_datasets(),
                                             manifest->train_samples(), "train"));
  NAVIT_ASSIGN_OR_RETURN(
      ExampleDraws draws,
      ExampleDraws::Create(spec, StreamLayout::ForJob(spec, *manifest).samples()));
  auto impl = std::make_unique<Impl>(std::move(draws));
  impl->spec = spec;
  impl->manifest = std::move(manifest);
  impl->indexes = std::move(indexes);
  NAVIT_ASSIGN_OR_RETURN(impl->train, MakeSplitData(std::move(train), spec.data().train(),
                                                    spec.model(), impl->indexes->store()));
  if (impl->manifest->validation_size() > 0) {
    if (spec.data().validation_size() == 0) {
      return absl::InvalidArgumentError("manifest: validation shards, but no data.validation");
    }
    SampleRange::Datasets one;
    one.Add()->set_shards(impl->manifest->validation_size());
    one[0].set_samples(impl->manifest->validation_samples());
    NAVIT_ASSIGN_OR_RETURN(SampleRange validation,
                           SampleRange::Create(impl->manifest->validation(), one,
                                               impl->manifest->validation_samples(), "validation"));
    NAVIT_ASSIGN_OR_RETURN(impl->validation,
                           MakeSplitData(std::move(validation), spec.data().validation(),
                                         spec.model(), impl->indexes->store()));
  }
  return std::unique_ptr<WindowPlanner>(new WindowPlanner(std::move(impl)));
}

absl::StatusOr<WindowPlan> WindowPlanner::Plan(v1::Split split, uint64_t window) const {
  const Impl& impl = *impl_;
  const bool training = split == v1::SPLIT_TRAIN;
  const std::optional<StreamLayout> layout_of_split =
      training ? StreamLayout::ForJob(impl.spec, *impl.manifest)
               : StreamLayout::ForEvaluation(impl.spec, *impl.manifest, split);
  if (!layout_of_split.has_value()) {
    return absl::OutOfRangeError(absl::StrCat("the job has no data for ", v1::Split_Name(split)));
  }
  const StreamLayout& layout = *layout_of_split;
  if (window >= layout.windows()) {
    return absl::OutOfRangeError(
        absl::StrCat("window ", window, ": the stream has ", layout.windows()));
  }
  const WindowExtent extent = layout.Window(window);
  if (split == v1::SPLIT_PROMPTS) return PlanPrompts(impl.spec, window, extent);
  const SplitData& data = split == v1::SPLIT_VALIDATION ? *impl.validation : *impl.train;
  NAVIT_ASSIGN_OR_RETURN(std::vector<PlannedExample> planned,
                         impl.PlanExamples(data, split, layout, window));
  if (training) {
    Shuffle(planned, Draws(impl.spec.seed(), 0, extent.epoch, extent.first_in_epoch,
                           Purpose::kWindowShuffle));
  }

  WindowPlan plan;
  plan.split = split;
  plan.window = window;
  plan.epoch = extent.epoch;
  plan.sequence_length = impl.spec.packing().sequence_length();
  plan.prefix_tokens = impl.spec.model().image().prefix_tokens();
  if (!training) {
    plan.sequence_length =
        std::max(plan.sequence_length,
                 TokenBudget(impl.spec.evaluation(), extent.epoch) + plan.prefix_tokens);
  }
  std::vector<uint32_t> with_tokens;
  std::vector<uint32_t> tokens;
  std::vector<uint32_t> holes;
  for (uint32_t i = 0; i < planned.size(); ++i) {
    if (planned[i].tokens == 0) {
      holes.push_back(i);
    } else {
      with_tokens.push_back(i);
      tokens.push_back(planned[i].tokens + plan.prefix_tokens);
    }
  }
  const uint32_t most = impl.spec.packing().max_examples_per_sequence();
  const uint32_t tolerance = static_cast<uint32_t>(impl.spec.packing().exact_fit() * 65536);
  Rows rows = training ? PackWindow(absl::MakeSpan(tokens), plan.sequence_length, most, tolerance,
                                    plan.prefix_tokens)
                       : PackNextFit(tokens, plan.sequence_length, most);
  for (size_t i = 0; i < tokens.size(); ++i) {
    planned[with_tokens[i]].tokens = tokens[i] - plan.prefix_tokens;
  }
  // Packing puts like rows together; steps should not differ by that.
  if (training) {
    Shuffle(rows,
            Draws(impl.spec.seed(), 0, extent.epoch, extent.first_in_epoch, Purpose::kPackOrder));
  }
  plan.examples.reserve(planned.size());
  FillPacks(planned, with_tokens, rows, holes, most, &plan);
  plan.digest = Digest(plan);
  return plan;
}

}  // namespace navit
