#include "packer/telemetry.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace navit {
namespace {

using Job = v1::PackerTelemetry::Job;

std::string LabelOf(const prometheus::ClientMetric& metric, const char* name) {
  for (const prometheus::ClientMetric::Label& label : metric.label) {
    if (label.name == name) return label.value;
  }
  return "";
}

void FillDistribution(const prometheus::ClientMetric::Histogram& from, v1::Distribution* to) {
  uint64_t below = 0;
  for (const prometheus::ClientMetric::Bucket& bucket : from.bucket) {
    if (std::isfinite(bucket.upper_bound)) to->add_bounds(bucket.upper_bound);
    to->add_counts(bucket.cumulative_count - below);
    below = bucket.cumulative_count;
  }
  to->set_sum(from.sample_sum);
}

using Fill = std::function<void(const prometheus::ClientMetric&, Job*)>;

Fill Count(void (Job::*set)(uint64_t)) {
  return [set](const prometheus::ClientMetric& metric, Job* job) {
    (job->*set)(static_cast<uint64_t>(metric.counter.value));
  };
}

Fill Histogram(v1::Distribution* (Job::*field)()) {
  return [field](const prometheus::ClientMetric& metric, Job* job) {
    FillDistribution(metric.histogram, (job->*field)());
  };
}

// What each family of a job's series says.
const std::map<std::string, Fill>& JobFamilies() {
  static const auto* families = new std::map<std::string, Fill>{
      {"navit_packs_total", Count(&Job::set_packs)},
      {"navit_samples_read_total", Count(&Job::set_samples_read)},
      {"navit_read_bytes_total", Count(&Job::set_read_bytes)},
      {"navit_pack_capacity_tokens_total", Count(&Job::set_capacity_tokens)},
      {"navit_pack_text_tokens_total", Count(&Job::set_text_tokens)},
      {"navit_tokens_dropped_total", Count(&Job::set_dropped_tokens)},
      {"navit_pack_tokens_total",
       [](const prometheus::ClientMetric& metric, Job* job) {
         const auto tokens = static_cast<uint64_t>(metric.counter.value);
         const std::string kind = LabelOf(metric, "kind");
         if (kind == "used") job->set_used_tokens(tokens);
         if (kind == "hole") job->set_hole_tokens(tokens);
       }},
      {"navit_pack_attention_cost_total",
       [](const prometheus::ClientMetric& metric, Job* job) {
         if (LabelOf(metric, "kind") == "useful") {
           job->set_attention_useful(metric.counter.value);
         } else {
           job->set_attention_dense(metric.counter.value);
         }
       }},
      {"navit_packer_stage_seconds_total",
       [](const prometheus::ClientMetric& metric, Job* job) {
         v1::NamedSeconds* stage = job->add_stages();
         stage->set_name(LabelOf(metric, "stage"));
         stage->set_seconds(metric.counter.value);
       }},
      {"navit_pack_fill_ratio", Histogram(&Job::mutable_fill_ratio)},
      {"navit_pack_segments", Histogram(&Job::mutable_segments)},
      {"navit_image_resolution_pixels", Histogram(&Job::mutable_resolution_pixels)},
      {"navit_image_aspect_ratio", Histogram(&Job::mutable_aspect_ratio)},
      {"navit_token_drop_ratio", Histogram(&Job::mutable_token_drop_ratio)},
  };
  return *families;
}

}  // namespace

v1::PackerTelemetry PackerTelemetryOf(const std::vector<prometheus::MetricFamily>& families) {
  v1::PackerTelemetry telemetry;
  std::map<std::string, Job> jobs;
  for (const prometheus::MetricFamily& family : families) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      if (family.name == "navit_packer_threads") {
        telemetry.set_threads(static_cast<uint32_t>(metric.gauge.value));
      } else if (family.name == "navit_packer_blocked_seconds_total") {
        if (LabelOf(metric, "cause") == "downstream") {
          telemetry.set_blocked_downstream_seconds(metric.counter.value);
        } else {
          telemetry.set_blocked_source_seconds(metric.counter.value);
        }
      } else if (const auto fill = JobFamilies().find(family.name); fill != JobFamilies().end()) {
        const std::string name = LabelOf(metric, "navit_job");
        if (jobs.count(name) == 0 && jobs.size() >= kMaxTelemetryJobs) continue;
        fill->second(metric, &jobs[name]);
      }
    }
  }
  for (auto& [name, job] : jobs) {
    job.set_job(name);
    *telemetry.add_jobs() = std::move(job);
  }
  return telemetry;
}

}  // namespace navit
