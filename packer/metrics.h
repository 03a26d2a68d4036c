// The packer's metrics: names, types, buckets and help in one place (metrics.cc).
#ifndef NAVIT_PACKER_METRICS_H_
#define NAVIT_PACKER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/object_store/object_store.h"
#include "packer/pack_maker.h"
#include "packer/range_reader.h"
#include "proto/pack.pb.h"

namespace navit {

// Most bytes that the queues of a packer may hold.
struct PackerCaps {
  uint64_t read_ahead_bytes = 0;
  uint64_t made_bytes = 0;
  uint64_t kept_bytes = 0;
};

// Thread-safe. Series of a job carry navit_job; they appear with its first event and go 15 minutes
// after the job left the coordinator's directives.
class PackerMetrics : public ObjectStoreObserver, public RangeReaderObserver {
 public:
  explicit PackerMetrics(int threads, const PackerCaps& caps = {});

  std::shared_ptr<prometheus::Registry> registry() const { return registry_; }

  // `header.job` names the job. Packs of evaluations count as read and as work done, never in fill
  // metrics. `again`: this packer had made the pack before.
  void PackMade(const v1::PackHeader& header, const PackStats& stats, bool again);
  void PlanSeconds(const std::string& job, double seconds);
  void SendSeconds(const std::string& job, double seconds);
  // An IndexShard read this much more of a shard.
  void IndexBytes(const std::string& job, uint64_t bytes);
  // Makers had nothing to do because the stream did not take what was made.
  void BlockedDownstream(double seconds);
  // Packs that are made and wait for the stream.
  void BytesMade(uint64_t bytes) { made_bytes_->Set(static_cast<double>(bytes)); }
  // Packs that stay here for trainers to fetch.
  void BytesKept(uint64_t bytes) { kept_bytes_->Set(static_cast<double>(bytes)); }
  // Bytes of packs that trainers fetched here.
  void DirectBytes(uint64_t bytes) { direct_bytes_->Increment(static_cast<double>(bytes)); }
  // Waiting for bytes, or to repeat a read that failed.
  void BlockedSource(double seconds) override;
  void BytesHeld(uint64_t bytes) override;
  void Request(absl::string_view scheme, absl::string_view code, absl::Duration took) override;
  void Retry(absl::string_view reason, absl::Duration delay) override;
  // `reason`: a status code's name.
  void SourceRetry(absl::string_view reason);

  // The jobs of the newest directive, at steady time `now`.
  void SetJobs(const std::set<std::string>& jobs, absl::Duration now);

 private:
  using Counters = prometheus::Family<prometheus::Counter>;
  using Histograms = prometheus::Family<prometheus::Histogram>;

  void Add(Counters* family, const prometheus::Labels& labels, double value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  prometheus::Histogram& Observe(Histograms* family, const std::string& job,
                                 const std::vector<double>& buckets)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const std::string& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<prometheus::Registry> registry_;
  Counters* samples_read_;
  Counters* samples_skipped_;
  Counters* read_bytes_;
  Counters* source_requests_;
  Counters* source_retries_;
  prometheus::Histogram* source_request_duration_;
  prometheus::Gauge* read_ahead_bytes_;
  prometheus::Gauge* made_bytes_;
  prometheus::Gauge* kept_bytes_;
  prometheus::Counter* direct_bytes_;
  Counters* stage_seconds_;
  Counters* blocked_seconds_;
  Counters* packs_;
  Counters* packs_regenerated_;
  Counters* capacity_tokens_;
  Counters* pack_tokens_;
  Counters* text_tokens_;
  Counters* tokens_dropped_;
  Counters* attention_cost_;
  Histograms* segments_;
  Histograms* fill_ratio_;
  Histograms* resolution_pixels_;
  Histograms* aspect_ratio_;
  Histograms* token_drop_ratio_;

  absl::Mutex mutex_;
  // What a job's series are, so that they can go with it.
  std::map<std::string, std::map<prometheus::Counter*, Counters*>> counters_of_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::map<prometheus::Histogram*, Histograms*>> histograms_of_
      ABSL_GUARDED_BY(mutex_);
  // Since when (steady) a job with series is in no directive.
  std::map<std::string, absl::Duration> gone_since_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_PACKER_METRICS_H_
