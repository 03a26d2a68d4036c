// Trains a small job alone, without a coordinator, and leaves behind what another program needs to
// do the same:
//   replay JOB.yaml FOLDER
//   FOLDER/start/           weights before the first step, as an export (worker/weights/export.h)
//   FOLDER/end/             those after the last
//   FOLDER/packs.bin        the packs of every step: for each pack its step (uint32), its length
//                           (uint32) and its bytes, a serialised navit.v1.Pack
//   FOLDER/navit.csv        step, progress, learning rate, loss, gradient norm
// The packs are those of the job with windows_per_group 1: real ones, planned, decoded and cut.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/files.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/pin_tokenizer.h"
#include "common/job_spec/print.h"
#include "common/job_spec/resolve.h"
#include "common/status_macros.h"
#include "packer/index_cache.h"
#include "packer/pack_maker.h"
#include "packer/plan.h"
#include "packer/range_reader.h"
#include "packer/shard_index.h"
#include "packer/shards.h"
#include "worker/collective_threads.h"
#include "worker/model/train_step.h"
#include "worker/parameter_tensors.h"

namespace navit {
namespace {

absl::StatusOr<v1::JobSpec> ReadSpec(ObjectStore* store, const std::string& path) {
  NAVIT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  NAVIT_ASSIGN_OR_RETURN(v1::JobSpec spec, ParseJobFile(text, path));
  ResolveJobSpec(&spec);
  spec.mutable_packing()->set_windows_per_group(1);
  if (!PinTokenizer(store, &spec).empty() || !spec.train_for().has_steps()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": needs a tokenizer and steps"));
  }
  return spec;
}

absl::StatusOr<std::shared_ptr<const v1::DataManifest>> IndexAll(ObjectStore* store,
                                                                 const v1::DataSpec& data) {
  auto manifest = std::make_shared<v1::DataManifest>();
  NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> shards,
                         ExpandShardPattern(store, data.train(0).shards()));
  for (const std::string& shard : shards) {
    NAVIT_ASSIGN_OR_RETURN(v1::ShardEntry entry, IndexShard(store, shard, data.index()));
    manifest->set_train_samples(manifest->train_samples() + entry.samples());
    *manifest->add_train() = std::move(entry);
  }
  v1::DatasetEntry* dataset = manifest->add_train_datasets();
  dataset->set_shards(manifest->train_size());
  dataset->set_samples(manifest->train_samples());
  return manifest;
}

// The packs of a job in order.
class PackStream {
 public:
  static absl::StatusOr<PackStream> Open(std::shared_ptr<ObjectStore> store,
                                         const v1::JobSpec& spec) {
    NAVIT_ASSIGN_OR_RETURN(const auto manifest, IndexAll(store.get(), spec.data()));
    PackStream stream;
    auto indexes = std::make_shared<IndexCache>(store);
    auto reader = std::make_shared<RangeReader>(store, RangeReader::Options());
    NAVIT_ASSIGN_OR_RETURN(stream.planner_, WindowPlanner::Create(spec, manifest, indexes));
    NAVIT_ASSIGN_OR_RETURN(stream.maker_, PackMaker::Create(spec, manifest, indexes, reader));
    return stream;
  }

  absl::StatusOr<std::string> Next() {
    while (pack_ >= plan_.packs()) {
      NAVIT_ASSIGN_OR_RETURN(plan_, planner_->Plan(v1::SPLIT_TRAIN, window_++));
      pack_ = 0;
    }
    NAVIT_ASSIGN_OR_RETURN(PackedBytes made, maker_->Make(plan_, pack_++));
    return std::move(made.payload);
  }

 private:
  std::unique_ptr<WindowPlanner> planner_;
  std::unique_ptr<PackMaker> maker_;
  WindowPlan plan_;
  uint64_t window_ = 0;
  uint32_t pack_ = 0;
};

absl::Status WriteModel(const std::string& folder, const v1::JobSpec& spec,
                        const ParameterTable& table, const ModelState& state) {
  NAVIT_RETURN_IF_ERROR(EnsureFolder(folder));
  std::vector<TensorView> tensors;
  AddTensors(table, state.parameters, "", &tensors);
  NAVIT_RETURN_IF_ERROR(WriteSafetensors(folder + "/model.safetensors", tensors, {}).status());
  return AtomicWriteFile(folder + "/config.json", ToJson(spec));
}

void WriteNumber(uint32_t number, std::ofstream* file) {
  file->write(reinterpret_cast<const char*>(&number), sizeof(number));
}

absl::Status Replay(const std::string& job, const std::string& folder) {
  const std::shared_ptr<ObjectStore> store = MakeObjectStore();
  NAVIT_ASSIGN_OR_RETURN(const v1::JobSpec spec, ReadSpec(store.get(), job));
  NAVIT_ASSIGN_OR_RETURN(const ModelConfig config,
                         ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss()));
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, spec.seed(), &state);
  NAVIT_RETURN_IF_ERROR(WriteModel(folder + "/start", spec, table, state));
  NAVIT_ASSIGN_OR_RETURN(PackStream stream, PackStream::Open(store, spec));
  NAVIT_ASSIGN_OR_RETURN(const TrainStepOptions options, ResolveTrainStepOptions(spec, table));
  kernels::ThreadPool pool(static_cast<int>(spec.workers().trainers().threads()));
  TrainStep step(&table, options, &state, &pool, nullptr);
  const auto collectives = MakeThreadCollectives(1);

  std::ofstream packs(folder + "/packs.bin", std::ios::binary | std::ios::trunc);
  std::ofstream curve(folder + "/navit.csv", std::ios::trunc);
  curve << "step,progress,learning_rate,loss,gradient_norm\n";
  const uint64_t steps = spec.train_for().steps();
  for (uint64_t s = 1; s <= steps; ++s) {
    std::vector<Batch> batches;
    for (uint32_t g = 0; g < spec.packing().sequences_per_step(); ++g) {
      NAVIT_ASSIGN_OR_RETURN(const std::string payload, stream.Next());
      WriteNumber(static_cast<uint32_t>(s), &packs);
      WriteNumber(static_cast<uint32_t>(payload.size()), &packs);
      packs << payload;
      NAVIT_ASSIGN_OR_RETURN(batches.emplace_back(), ParseBatch(payload, config));
    }
    NAVIT_ASSIGN_OR_RETURN(const StepGradients gradients,
                           step.ComputeGradients(batches, collectives[0].get()));
    const double progress = static_cast<double>(s) / static_cast<double>(steps);
    const UpdateResult update = *step.Apply(gradients, progress, s);
    curve << absl::StrFormat("%d,%.17g,%.17g,%.9g,%.9g\n", s, progress, update.learning_rate,
                             gradients.loss, update.gradient_norm);
  }
  NAVIT_RETURN_IF_ERROR(WriteModel(folder + "/end", spec, table, state));
  packs.close();
  curve.close();
  return packs && curve ? absl::OkStatus()
                        : absl::InternalError(absl::StrCat(folder, ": cannot be written"));
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: replay JOB.yaml FOLDER\n");
    return 2;
  }
  const absl::Status status = navit::Replay(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "replay: %s\n", status.ToString().c_str());
  return 1;
}
