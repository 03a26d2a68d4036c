#include "packer/metrics.h"

#include <algorithm>

namespace navit {
namespace {

constexpr absl::Duration kKeepFinished = absl::Minutes(15);
constexpr char kJob[] = "navit_job";

// Those of requests, and the codes after which a read is repeated as a whole.
constexpr const char* kRetryReasons[] = {
    "connection",  "timeout",     "server_error",      "slow_down", "short_body",
    "credentials", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED",   "RESOURCE_EXHAUSTED"};

// Fill is close to 1 when packing works; the buckets are finest there.
const std::vector<double>& FillBuckets() {
  static const auto* buckets = new std::vector<double>{
      0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 0.995, 0.999, 1};
  return *buckets;
}
const std::vector<double>& RequestBuckets() {
  static const auto* buckets = new std::vector<double>{
      0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
  return *buckets;
}
const std::vector<double>& SegmentBuckets() {
  static const auto* buckets =
      new std::vector<double>{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512};
  return *buckets;
}
const std::vector<double>& PixelBuckets() {
  static const auto* buckets = new std::vector<double>{16,  32,  48,  64,  96,  128, 160,  192, 224,
                                                       256, 320, 384, 448, 512, 768, 1024, 2048};
  return *buckets;
}
const std::vector<double>& AspectBuckets() {
  static const auto* buckets = new std::vector<double>{
      0.125, 0.25, 0.375, 0.5, 0.667, 0.75, 0.9, 1.0, 1.11, 1.334, 1.5, 2, 2.67, 4, 8};
  return *buckets;
}
const std::vector<double>& ShareBuckets() {
  static const auto* buckets =
      new std::vector<double>{0,    0.05, 0.1,  0.15, 0.2,  0.25, 0.3,  0.35, 0.4,  0.45, 0.5,
                              0.55, 0.6,  0.65, 0.7,  0.75, 0.8,  0.85, 0.9,  0.95, 1};
  return *buckets;
}

const char* HoleName(v1::HoleReason reason) {
  switch (reason) {
    case v1::HOLE_REASON_DECODE_ERROR:
      return "decode_error";
    case v1::HOLE_REASON_UNSUPPORTED_FORMAT:
      return "unsupported_format";
    case v1::HOLE_REASON_BAD_HEADER:
      return "bad_header";
    case v1::HOLE_REASON_TOO_LARGE:
      return "too_large";
    case v1::HOLE_REASON_NO_IMAGE:
      return "no_image";
    case v1::HOLE_REASON_NO_CAPTION:
      return "no_caption";
    case v1::HOLE_REASON_NO_LABEL:
      return "no_label";
    default:
      return "other";
  }
}

prometheus::Family<prometheus::Counter>* Counter(prometheus::Registry* registry, const char* name,
                                                 const char* help) {
  return &prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
}

prometheus::Family<prometheus::Histogram>* Histogram(prometheus::Registry* registry,
                                                     const char* name, const char* help) {
  return &prometheus::BuildHistogram().Name(name).Help(help).Register(*registry);
}

prometheus::Gauge* Gauge(prometheus::Registry* registry, const char* name, const char* help) {
  return &prometheus::BuildGauge().Name(name).Help(help).Register(*registry).Add({});
}

}  // namespace

PackerMetrics::PackerMetrics(int threads, const PackerCaps& caps)
    : registry_(std::make_shared<prometheus::Registry>()) {
  prometheus::Registry* r = registry_.get();
  samples_read_ = Counter(r, "navit_samples_read_total", "Samples whose bytes were read.");
  samples_skipped_ =
      Counter(r, "navit_samples_skipped_total", "Samples that became masked holes, by reason.");
  read_bytes_ = Counter(r, "navit_read_bytes_total", "Bytes read from shards.");
  source_requests_ = Counter(r, "navit_source_requests_total",
                             "Requests to shards and indexes, by scheme and HTTP status.");
  source_request_duration_ =
      &Histogram(r, "navit_source_request_duration_seconds",
                 "Time of one request to a source, from its start to the last byte.")
           ->Add({}, RequestBuckets());
  direct_bytes_ = &prometheus::BuildCounter()
                       .Name("navit_packer_direct_bytes_total")
                       .Help("Bytes of packs that trainers fetched here, past the relay.")
                       .Register(*registry_)
                       .Add({});
  read_ahead_bytes_ = Gauge(r, "navit_packer_read_ahead_bytes",
                            "Bytes of shards that are read, or being read, for packs.");
  Gauge(r, "navit_packer_read_ahead_cap_bytes", "Most of them that may be held at once.")
      ->Set(static_cast<double>(caps.read_ahead_bytes));
  made_bytes_ = Gauge(r, "navit_packer_made_bytes", "Bytes of made packs that wait to be sent.");
  Gauge(r, "navit_packer_made_cap_bytes", "Bytes of made packs from which on no more are made.")
      ->Set(static_cast<double>(caps.made_bytes));
  kept_bytes_ = Gauge(r, "navit_packer_kept_bytes",
                      "Bytes of packs that are kept for trainers to fetch (direct delivery).");
  Gauge(r, "navit_packer_kept_cap_bytes",
        "Most of them that are kept; what does not fit goes through the relay.")
      ->Set(static_cast<double>(caps.kept_bytes));
  source_retries_ =
      Counter(r, "navit_source_retries_total", "Reads repeated after a transient error.");
  stage_seconds_ = Counter(r, "navit_packer_stage_seconds_total",
                           "Thread seconds spent in each stage of making packs.");
  blocked_seconds_ = Counter(r, "navit_packer_blocked_seconds_total",
                             "Thread seconds spent waiting, by what was waited for.");
  packs_ = Counter(r, "navit_packs_total", "Training packs made.");
  packs_regenerated_ = Counter(r, "navit_packs_regenerated_total",
                               "Training packs made again by this packer: evicted or lost.");
  capacity_tokens_ = Counter(r, "navit_pack_capacity_tokens_total",
                             "Image tokens that the training packs made could hold.");
  pack_tokens_ = Counter(r, "navit_pack_tokens_total",
                         "Capacity of training packs by use; the kinds sum to the capacity.");
  text_tokens_ = Counter(r, "navit_pack_text_tokens_total", "Caption tokens in training packs.");
  tokens_dropped_ = Counter(r, "navit_tokens_dropped_total",
                            "Patches left out of training packs, by what left them out.");
  attention_cost_ =
      Counter(r, "navit_pack_attention_cost_total",
              "Sum of squared lengths: of the images (useful), of whole sequences (dense).");
  segments_ = Histogram(r, "navit_pack_segments", "Images that are no holes per training pack.");
  fill_ratio_ = Histogram(r, "navit_pack_fill_ratio", "Used share of a training pack's capacity.");
  resolution_pixels_ = Histogram(r, "navit_image_resolution_pixels",
                                 "Side length drawn for an image of a training pack.");
  aspect_ratio_ = Histogram(r, "navit_image_aspect_ratio", "Width / height of source images.");
  token_drop_ratio_ =
      Histogram(r, "navit_token_drop_ratio", "Share of an image's patches that was dropped.");
  Gauge(r, "navit_packer_threads", "Threads that make packs.")->Set(threads);
  // Known label values start at 0, so that rates are right from the first event.
  blocked_seconds_->Add({{"cause", "downstream"}});
  blocked_seconds_->Add({{"cause", "source"}});
  for (const char* reason : kRetryReasons) source_retries_->Add({{"reason", reason}});
}

void PackerMetrics::Add(Counters* family, const prometheus::Labels& labels, double value) {
  prometheus::Counter& counter = family->Add(labels);
  counter.Increment(value);
  counters_of_[labels.at(kJob)][&counter] = family;
}

prometheus::Histogram& PackerMetrics::Observe(Histograms* family, const std::string& job,
                                              const std::vector<double>& buckets) {
  prometheus::Histogram& histogram = family->Add({{kJob, job}}, buckets);
  histograms_of_[job][&histogram] = family;
  return histogram;
}

void PackerMetrics::PackMade(const v1::PackHeader& header, const PackStats& stats, bool again) {
  const std::string& job = header.job();
  absl::MutexLock lock(&mutex_);
  Add(samples_read_, {{kJob, job}}, static_cast<double>(stats.samples_read));
  Add(read_bytes_, {{kJob, job}}, static_cast<double>(stats.read_bytes));
  for (int i = 0; i < kStages; ++i) {
    const Stage stage = static_cast<Stage>(i);
    if (stage == Stage::kPlan) continue;  // PlanSeconds.
    Add(stage_seconds_, {{kJob, job}, {"stage", StageName(stage)}},
        stats.stage_seconds[static_cast<size_t>(i)]);
  }
  if (header.split() != v1::SPLIT_TRAIN) return;

  Add(packs_, {{kJob, job}}, 1);
  Add(packs_regenerated_, {{kJob, job}}, again ? 1 : 0);
  std::map<std::string, double> holes;
  for (int reason = 0; reason < v1::HoleReason_ARRAYSIZE; ++reason) {
    holes[HoleName(static_cast<v1::HoleReason>(reason))] = 0;
  }
  for (const v1::Hole& hole : header.holes()) ++holes[HoleName(hole.reason())];
  for (const auto& [reason, count] : holes) {
    Add(samples_skipped_, {{kJob, job}, {"reason", reason}}, count);
  }
  const double capacity = header.capacity_tokens();
  const double used = header.image_tokens();
  const double hole = static_cast<double>(stats.hole_tokens);
  Add(capacity_tokens_, {{kJob, job}}, capacity);
  Add(pack_tokens_, {{kJob, job}, {"kind", "used"}}, used);
  Add(pack_tokens_, {{kJob, job}, {"kind", "hole"}}, hole);
  Add(pack_tokens_, {{kJob, job}, {"kind", "pad"}}, std::max(0.0, capacity - used - hole));
  Add(text_tokens_, {{kJob, job}}, header.text_tokens());
  Add(tokens_dropped_, {{kJob, job}, {"by", "token_drop"}},
      static_cast<double>(stats.dropped_tokens));
  Add(attention_cost_, {{kJob, job}, {"kind", "useful"}},
      static_cast<double>(header.sum_squares()));
  Add(attention_cost_, {{kJob, job}, {"kind", "dense"}}, capacity * capacity);
  Observe(segments_, job, SegmentBuckets()).Observe(header.valid_examples());
  if (capacity > 0) Observe(fill_ratio_, job, FillBuckets()).Observe(used / capacity);
  for (const PackStats::Example& example : stats.examples) {
    Observe(resolution_pixels_, job, PixelBuckets()).Observe(example.side);
    Observe(aspect_ratio_, job, AspectBuckets()).Observe(example.aspect_ratio);
    Observe(token_drop_ratio_, job, ShareBuckets()).Observe(example.drop_ratio);
  }
}

void PackerMetrics::PlanSeconds(const std::string& job, double seconds) {
  absl::MutexLock lock(&mutex_);
  Add(stage_seconds_, {{kJob, job}, {"stage", StageName(Stage::kPlan)}}, seconds);
}

void PackerMetrics::SendSeconds(const std::string& job, double seconds) {
  absl::MutexLock lock(&mutex_);
  Add(stage_seconds_, {{kJob, job}, {"stage", "send"}}, seconds);
}

void PackerMetrics::IndexBytes(const std::string& job, uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  Add(read_bytes_, {{kJob, job}}, static_cast<double>(bytes));
}

void PackerMetrics::BlockedDownstream(double seconds) {
  blocked_seconds_->Add({{"cause", "downstream"}}).Increment(seconds);
}

void PackerMetrics::BlockedSource(double seconds) {
  blocked_seconds_->Add({{"cause", "source"}}).Increment(seconds);
}

void PackerMetrics::BytesHeld(uint64_t bytes) {
  read_ahead_bytes_->Set(static_cast<double>(bytes));
}

void PackerMetrics::Request(absl::string_view scheme, absl::string_view code, absl::Duration took) {
  source_requests_->Add({{"scheme", std::string(scheme)}, {"code", std::string(code)}}).Increment();
  source_request_duration_->Observe(absl::ToDoubleSeconds(took));
}

void PackerMetrics::Retry(absl::string_view reason, absl::Duration) { SourceRetry(reason); }

void PackerMetrics::SourceRetry(absl::string_view reason) {
  source_retries_->Add({{"reason", std::string(reason)}}).Increment();
}

void PackerMetrics::SetJobs(const std::set<std::string>& jobs, absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  std::set<std::string> known;
  for (const auto& [job, unused] : counters_of_) known.insert(job);
  for (const std::string& job : known) {
    if (jobs.count(job) > 0) {
      gone_since_.erase(job);
      continue;
    }
    const absl::Duration since = gone_since_.emplace(job, now).first->second;
    if (now - since >= kKeepFinished) Forget(job);
  }
}

void PackerMetrics::Forget(const std::string& job) {
  for (const auto& [counter, family] : counters_of_[job]) family->Remove(counter);
  for (const auto& [histogram, family] : histograms_of_[job]) family->Remove(histogram);
  counters_of_.erase(job);
  histograms_of_.erase(job);
  gone_since_.erase(job);
}

}  // namespace navit
