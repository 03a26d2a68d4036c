#include "server/telemetry/telemetry_book.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace navit {
namespace {

// As METRICS names them, in the order of a step and of a pack.
constexpr const char* kPhaseNames[] = {"data_wait", "copy",       "forward",
                                       "loss",      "backward",   "comm_exposed",
                                       "optimizer", "checkpoint", "other"};
constexpr const char* kStageNames[] = {"read",     "decode", "resize",    "patchify",
                                       "tokenize", "plan",   "serialize", "send"};

constexpr double kWindowSeconds = 30;
constexpr double kPointSeconds = 2;
// A worker that was silent for longer does not count as there.
constexpr double kSilentSeconds = 10;
// Points of a job: when there are more, the older ones are thinned, to twice their
// distance when that is not enough.
constexpr size_t kMaxPoints = 360;
constexpr size_t kFinePoints = 60;
// Packers go on counting for a job that has gone for 15 minutes (packer/metrics.h).
constexpr double kPackersRemember = 20 * 60;
constexpr size_t kMaxWorkers = 4096;
constexpr size_t kMaxBounds = 64;

// Growth of a counter; one that fell began anew.
template <typename T>
double Growth(T now, T before) {
  return static_cast<double>(now < before ? now : now - before);
}

double SecondsOf(const google::protobuf::RepeatedPtrField<v1::NamedSeconds>& entries,
                 const char* name) {
  for (const v1::NamedSeconds& entry : entries) {
    if (entry.name() == name) return std::isfinite(entry.seconds()) ? entry.seconds() : 0;
  }
  return 0;
}

// Adds the observations of `now` that are not in `before`.
void AddDistribution(const v1::Distribution& now, const v1::Distribution& before,
                     v1::Distribution* sum) {
  if (now.counts_size() != now.bounds_size() + 1 ||
      static_cast<size_t>(now.bounds_size()) > kMaxBounds) {
    return;
  }
  if (sum->counts_size() != now.counts_size()) {
    *sum = now;
    sum->set_sum(0);
    for (int i = 0; i < sum->counts_size(); ++i) sum->set_counts(i, 0);
  }
  const bool goes_on = before.counts_size() == now.counts_size() &&
                       std::equal(now.counts().begin(), now.counts().end(), before.counts().begin(),
                                  [](uint64_t n, uint64_t b) { return n >= b; });
  for (int i = 0; i < now.counts_size(); ++i) {
    sum->set_counts(i, sum->counts(i) + now.counts(i) - (goes_on ? before.counts(i) : 0));
  }
  sum->set_sum(sum->sum() + now.sum() - (goes_on ? before.sum() : 0));
}

void AddPacking(const v1::PackerTelemetry::Job& now, const v1::PackerTelemetry::Job& before,
                v1::PackerTelemetry::Job* sum) {
  const auto add = [&](uint64_t (v1::PackerTelemetry::Job::*get)() const,
                       void (v1::PackerTelemetry::Job::*set)(uint64_t)) {
    const uint64_t growth = static_cast<uint64_t>(Growth((now.*get)(), (before.*get)()));
    (sum->*set)((sum->*get)() + growth);
  };
  using Job = v1::PackerTelemetry::Job;
  add(&Job::packs, &Job::set_packs);
  add(&Job::samples_read, &Job::set_samples_read);
  add(&Job::read_bytes, &Job::set_read_bytes);
  add(&Job::capacity_tokens, &Job::set_capacity_tokens);
  add(&Job::used_tokens, &Job::set_used_tokens);
  add(&Job::hole_tokens, &Job::set_hole_tokens);
  add(&Job::text_tokens, &Job::set_text_tokens);
  add(&Job::dropped_tokens, &Job::set_dropped_tokens);
  sum->set_attention_useful(sum->attention_useful() +
                            Growth(now.attention_useful(), before.attention_useful()));
  sum->set_attention_dense(sum->attention_dense() +
                           Growth(now.attention_dense(), before.attention_dense()));
  AddDistribution(now.fill_ratio(), before.fill_ratio(), sum->mutable_fill_ratio());
  AddDistribution(now.segments(), before.segments(), sum->mutable_segments());
  AddDistribution(now.resolution_pixels(), before.resolution_pixels(),
                  sum->mutable_resolution_pixels());
  AddDistribution(now.aspect_ratio(), before.aspect_ratio(), sum->mutable_aspect_ratio());
  AddDistribution(now.token_drop_ratio(), before.token_drop_ratio(),
                  sum->mutable_token_drop_ratio());
}

void AddNamed(const char* name, double seconds,
              google::protobuf::RepeatedPtrField<v1::NamedSeconds>* to) {
  v1::NamedSeconds* entry = to->Add();
  entry->set_name(name);
  entry->set_seconds(seconds);
}

}  // namespace

void TelemetryBook::OnReport(const v1::WorkerReport& report, double unix_now) {
  absl::MutexLock lock(&mutex_);
  if (report.has_trainer_telemetry() && !report.trainer_telemetry().job().empty()) {
    AddTrainer(report, unix_now);
  }
  if (report.has_packer_telemetry()) AddPacker(report, unix_now);
}

void TelemetryBook::AddTrainer(const v1::WorkerReport& report, double now) {
  const v1::TrainerTelemetry& said = report.trainer_telemetry();
  JobBook& book = jobs_[said.job()];
  if (book.trainers.size() >= kMaxWorkers) return;
  Trainer& trainer = book.trainers[report.worker().name()];
  // What a process did before it was first heard of belongs to no known stretch of time.
  const bool goes_on =
      trainer.incarnation == report.worker().incarnation() && trainer.newest.rank() == said.rank();
  if (goes_on) {
    const v1::TrainerTelemetry& before = trainer.newest;
    for (size_t p = 0; p < kPhases; ++p) {
      book.sums.phases[p] += Growth(SecondsOf(said.phases(), kPhaseNames[p]),
                                    SecondsOf(before.phases(), kPhaseNames[p]));
    }
    book.sums.rank_steps += Growth(said.steps(), before.steps());
    book.sums.flops += Growth(said.useful_flops(), before.useful_flops());
    book.sums.comm_bytes += Growth(said.comm_bytes(), before.comm_bytes());
  }
  trainer.lag = goes_on ? 0.8 * trainer.lag + 0.2 * said.lag_seconds() : said.lag_seconds();
  trainer.incarnation = report.worker().incarnation();
  trainer.heard = now;
  trainer.newest = said;
  AddPoint(&book, now);
}

void TelemetryBook::AddPacker(const v1::WorkerReport& report, double now) {
  const v1::PackerTelemetry& said = report.packer_telemetry();
  for (const v1::PackerTelemetry::Job& job : said.jobs()) {
    JobBook& book = jobs_[job.job()];
    if (book.packers.size() >= kMaxWorkers) continue;
    Packer& packer = book.packers[report.worker().name()];
    const bool goes_on = packer.incarnation == report.worker().incarnation();
    if (!goes_on) packer = Packer();
    if (goes_on) {
      const v1::PackerTelemetry::Job& before = packer.newest;
      for (size_t s = 0; s < kStages; ++s) {
        book.sums.stages[s] += Growth(SecondsOf(job.stages(), kStageNames[s]),
                                      SecondsOf(before.stages(), kStageNames[s]));
      }
      book.sums.packs += Growth(job.packs(), before.packs());
      book.sums.samples += Growth(job.samples_read(), before.samples_read());
      book.sums.read_bytes += Growth(job.read_bytes(), before.read_bytes());
      book.sums.blocked_downstream +=
          Growth(said.blocked_downstream_seconds(), packer.blocked_downstream);
      book.sums.blocked_source += Growth(said.blocked_source_seconds(), packer.blocked_source);
    }
    AddPacking(job, packer.newest, &book.packing);
    book.packing.set_job(job.job());
    packer.incarnation = report.worker().incarnation();
    packer.heard = now;
    packer.threads = said.threads();
    packer.blocked_downstream = said.blocked_downstream_seconds();
    packer.blocked_source = said.blocked_source_seconds();
    packer.newest = job;
    AddPoint(&book, now);
  }
}

void TelemetryBook::AddPoint(JobBook* book, double now) {
  std::vector<Point>& points = book->points;
  if (!points.empty() && now - points.back().time < kPointSeconds) return;
  Point point;
  point.time = now;
  point.sums = book->sums;
  for (const auto& [name, trainer] : book->trainers) {
    if (now - trainer.heard > kSilentSeconds) continue;
    point.ranks += 1;
    point.peak_flops += trainer.newest.peak_flops();
  }
  points.push_back(point);
  if (points.size() <= kMaxPoints) return;
  // The past keeps its sums and loses resolution; the newest points stay as they are.
  while (points.size() > kMaxPoints * 2 / 3) {
    std::vector<Point> kept;
    for (size_t i = 0; i < points.size(); ++i) {
      if (kept.empty() || i + kFinePoints >= points.size() ||
          points[i].time - kept.back().time >= book->spacing) {
        kept.push_back(points[i]);
      }
    }
    if (kept.size() > kMaxPoints * 2 / 3) book->spacing *= 2;
    points = std::move(kept);
  }
}

v1::JobRates TelemetryBook::RatesOf(const JobBook& book, double now) {
  v1::JobRates rates;
  const auto first = std::find_if(book.points.begin(), book.points.end(), [&](const Point& point) {
    return now - point.time <= kWindowSeconds;
  });
  if (first == book.points.end()) return rates;
  const Point& old = *first;
  const double seconds = now - old.time;
  if (seconds < kPointSeconds / 2) return rates;
  rates.set_seconds(seconds);
  const Sums& sums = book.sums;

  double peak = 0, most_lag = -1;
  for (const auto& [name, trainer] : book.trainers) {
    if (now - trainer.heard > kSilentSeconds) continue;
    rates.set_ranks(rates.ranks() + 1);
    peak += trainer.newest.peak_flops();
    if (trainer.lag > most_lag) {
      most_lag = trainer.lag;
      rates.set_slowest_rank(trainer.newest.rank());
      rates.set_slowest_rank_lag_seconds(trainer.lag);
    }
  }
  const double rank_steps = sums.rank_steps - old.sums.rank_steps;
  if (rates.ranks() > 0) rates.set_steps_per_second(rank_steps / rates.ranks() / seconds);
  double phase_seconds = 0;
  for (size_t p = 0; p < kPhases; ++p) phase_seconds += sums.phases[p] - old.sums.phases[p];
  // Phases of the step at hand count before the step does: with no whole step in the window, they
  // are shares of it.
  const double per = rank_steps > 0 ? rank_steps : std::max<double>(1, rates.ranks());
  rates.set_step_seconds(phase_seconds / per);
  for (size_t p = 0; p < kPhases; ++p) {
    AddNamed(kPhaseNames[p], (sums.phases[p] - old.sums.phases[p]) / per, rates.mutable_phases());
  }
  rates.set_packs_per_second((sums.packs - old.sums.packs) / seconds);
  rates.set_samples_per_second((sums.samples - old.sums.samples) / seconds);
  rates.set_read_bytes_per_second((sums.read_bytes - old.sums.read_bytes) / seconds);
  for (size_t s = 0; s < kStages; ++s) {
    AddNamed(kStageNames[s], (sums.stages[s] - old.sums.stages[s]) / seconds,
             rates.mutable_stages());
  }
  for (const auto& [name, packer] : book.packers) {
    if (now - packer.heard > kSilentSeconds) continue;
    rates.set_packers(rates.packers() + 1);
    rates.set_packer_threads(rates.packer_threads() + packer.threads);
  }
  rates.set_blocked_downstream((sums.blocked_downstream - old.sums.blocked_downstream) / seconds);
  rates.set_blocked_source((sums.blocked_source - old.sums.blocked_source) / seconds);
  rates.set_flops_per_second((sums.flops - old.sums.flops) / seconds);
  rates.set_peak_flops_per_second(peak);
  if (peak > 0) rates.set_mfu(rates.flops_per_second() / peak);
  rates.set_comm_bytes_per_second((sums.comm_bytes - old.sums.comm_bytes) / seconds);
  return rates;
}

v1::PhaseSeries TelemetryBook::SeriesOf(const JobBook& book) {
  v1::PhaseSeries series;
  for (const char* name : kPhaseNames) series.add_phases()->set_name(name);
  for (size_t i = 1; i < book.points.size(); ++i) {
    const Point& old = book.points[i - 1];
    const Point& point = book.points[i];
    const double seconds = point.time - old.time;
    const double rank_steps = point.sums.rank_steps - old.sums.rank_steps;
    series.add_time(point.time);
    for (size_t p = 0; p < kPhases; ++p) {
      const double spent = point.sums.phases[p] - old.sums.phases[p];
      series.mutable_phases(static_cast<int>(p))
          ->add_seconds(rank_steps > 0 ? spent / rank_steps : 0);
    }
    series.add_packs_per_second((point.sums.packs - old.sums.packs) / seconds);
    series.add_mfu(point.peak_flops > 0
                       ? (point.sums.flops - old.sums.flops) / seconds / point.peak_flops
                       : 0);
  }
  return series;
}

v1::JobTelemetry TelemetryBook::Job(const std::string& job, double unix_now) const {
  absl::MutexLock lock(&mutex_);
  v1::JobTelemetry telemetry;
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return telemetry;
  *telemetry.mutable_rates() = RatesOf(found->second, unix_now);
  *telemetry.mutable_series() = SeriesOf(found->second);
  *telemetry.mutable_packing() = found->second.packing;
  return telemetry;
}

void TelemetryBook::Forget(const std::string& job, double unix_now) {
  absl::MutexLock lock(&mutex_);
  const auto found = jobs_.find(job);
  if (found != jobs_.end()) {
    JobBook emptied;
    emptied.packers = std::move(found->second.packers);
    found->second = std::move(emptied);
  }
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    JobBook& book = it->second;
    const bool empty = book.trainers.empty() && book.points.empty();
    const bool remembered = std::any_of(
        book.packers.begin(), book.packers.end(),
        [&](const auto& entry) { return unix_now - entry.second.heard < kPackersRemember; });
    it = empty && !remembered ? jobs_.erase(it) : std::next(it);
  }
}

}  // namespace navit
