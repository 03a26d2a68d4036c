#include "packer/agent/shard_sample.h"

#include <map>
#include <numeric>
#include <utility>

#include "common/status_macros.h"

namespace navit {
namespace {

// The k-th of `shards` shards to look at: steps of about the golden section, so that the first few
// lie spread over all.
uint64_t Pick(uint64_t k, uint64_t shards) {
  uint64_t step = static_cast<uint64_t>(static_cast<double>(shards) * 0.6180339887498949);
  while (std::gcd(step, shards) != 1) ++step;
  return k * step % shards;
}

}  // namespace

uint64_t ShardSample::all_shards() const {
  return std::accumulate(shards_total.begin(), shards_total.end(), uint64_t{0});
}

absl::StatusOr<ShardSample> SampleShards(const v1::JobSpec& spec, const ShardSampleOptions& options,
                                         const Clock& clock, DataPlane* data) {
  const absl::Duration until = clock.SteadyNow() + options.budget;
  NAVIT_ASSIGN_OR_RETURN(const v1::ShardList list, data->Expand(spec));
  ShardSample sample;
  sample.shards_total.assign(list.train_datasets().begin(), list.train_datasets().end());
  // By place in the list.
  std::map<uint64_t, ShardPart> parts;
  uint64_t samples = 0;
  bool more = true;
  for (uint64_t round = 0; more; ++round) {
    more = false;
    uint64_t first = 0;
    for (size_t d = 0; d < sample.shards_total.size(); first += sample.shards_total[d], ++d) {
      const uint64_t shards = sample.shards_total[d];
      if (round >= shards) continue;
      if (round > 0 && (samples >= options.enough_samples || clock.SteadyNow() >= until)) break;
      const uint64_t place = first + Pick(round, shards);
      v1::IndexShard work;
      work.set_shard(list.train(static_cast<int>(place)));
      work.set_index_folder(spec.data().index());
      *work.mutable_captions() = spec.data().train(static_cast<int>(d)).captions();
      if (spec.model().has_text()) *work.mutable_text() = spec.model().text();
      NAVIT_ASSIGN_OR_RETURN(parts[place], data->IndexPart(work, options.most_shard_bytes));
      samples += parts[place].entry.samples();
      more = true;
    }
  }

  auto manifest = std::make_shared<v1::DataManifest>();
  auto part = parts.begin();
  uint64_t end = 0;
  for (const uint64_t shards : sample.shards_total) {
    end += shards;
    v1::DatasetEntry* dataset = manifest->add_train_datasets();
    double whole_shards = 0;
    for (; part != parts.end() && part->first < end; ++part) {
      auto& [entry, share] = part->second;
      dataset->set_shards(dataset->shards() + 1);
      dataset->set_samples(dataset->samples() + entry.samples());
      whole_shards += static_cast<double>(entry.samples()) / share;
      *manifest->add_train() = std::move(entry);
    }
    sample.samples_total.push_back(whole_shards / static_cast<double>(dataset->shards()) *
                                   static_cast<double>(shards));
  }
  manifest->set_train_samples(samples);
  sample.manifest = std::move(manifest);
  return sample;
}

}  // namespace navit
