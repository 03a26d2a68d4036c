#include "server/core/audit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace navit {

absl::StatusOr<Audit> Audit::Start(const JobState& job, uint64_t first_step, uint64_t last_step) {
  if (first_step == 0 && last_step == 0) {
    first_step = 1;
    last_step = job.committed_step();
  }
  if (first_step == 0 || last_step > job.committed_step() || first_step > last_step + 1) {
    return absl::InvalidArgumentError(absl::StrCat("steps ", first_step, " to ", last_step,
                                                   " are no range of the committed steps 1 to ",
                                                   job.committed_step()));
  }
  Audit audit;
  audit.job_ = job.name();
  audit.uid_ = job.uid();
  v1::AuditReply& reply = audit.reply_;
  reply.set_first_step(first_step);
  reply.set_last_step(last_step);
  reply.set_plans_match(true);
  if (first_step > last_step) return audit;

  const uint64_t g = job.spec().packing().sequences_per_step();
  audit.first_ordinal_ = (first_step - 1) * g;
  audit.end_ordinal_ = std::min(last_step * g, job.order().packs());
  reply.set_packs(audit.end_ordinal_ - audit.first_ordinal_);
  for (uint64_t step = first_step; step <= last_step; ++step) {
    const v1::StepReport& record = job.records()[step - 1];
    const uint64_t packs = std::min(step * g, job.order().packs()) - (step - 1) * g;
    if (record.step() != step || record.packs() != packs) reply.add_bad_steps(step);
  }
  uint64_t first = 0;
  for (size_t d = 0; d < job.layout().datasets(); ++d) {
    audit.datasets_.push_back({first, job.layout().dataset_samples(d)});
    first += job.layout().dataset_samples(d);
  }
  // Whole groups: ordinals run over all windows of a group. Groups without packs between or around
  // them belong to the range, so that an epoch's count of draws is whole.
  const uint64_t k = job.order().windows_per_group();
  const uint64_t first_group =
      audit.first_ordinal_ == 0 ? 0 : job.order().GroupOf(audit.first_ordinal_);
  uint64_t end_group = job.order().GroupOf(audit.end_ordinal_ - 1) + 1;
  while (end_group < job.order().groups().size() && job.order().groups()[end_group].packs == 0) {
    ++end_group;
  }
  audit.first_window_ = first_group * k;
  audit.end_window_ = std::min(end_group * k, job.order().windows());
  const uint64_t windows = audit.end_window_ - audit.first_window_;
  audit.chunks_ = (windows + kWindowsPerChunk - 1) / kWindowsPerChunk;
  audit.done_.assign(audit.chunks_, false);
  audit.left_ = audit.chunks_;
  return audit;
}

std::vector<uint64_t> Audit::Windows(uint64_t chunk) const {
  std::vector<uint64_t> windows;
  const uint64_t first = first_window_ + chunk * kWindowsPerChunk;
  for (uint64_t w = first; w < std::min(first + kWindowsPerChunk, end_window_); ++w) {
    windows.push_back(w);
  }
  return windows;
}

uint32_t Audit::DatasetOf(uint64_t sample) const {
  const auto after = std::upper_bound(
      datasets_.begin(), datasets_.end(), sample,
      [](uint64_t value, const Dataset& dataset) { return value < dataset.first; });
  return static_cast<uint32_t>(after - datasets_.begin() - 1);
}

Audit::Epoch& Audit::EpochOf(uint32_t dataset, uint64_t number) {
  Epoch& epoch = epochs_[{dataset, number}];
  if (epoch.times.empty()) epoch.times.assign(datasets_[dataset].samples, 0);
  return epoch;
}

bool Audit::Fits(const JobState& job, const v1::AuditedWindows::Window& window) const {
  uint64_t samples = 0;
  for (const uint32_t n : window.pack_samples()) samples += n;
  if (samples != static_cast<uint64_t>(window.samples_size()) ||
      window.epochs_size() != window.samples_size()) {
    return false;
  }
  const uint64_t all = datasets_.back().first + datasets_.back().samples;
  for (int i = 0; i < window.samples_size(); ++i) {
    if (window.samples(i) >= all) return false;
    const uint32_t d = DatasetOf(window.samples(i));
    const DrawRange draws = job.layout().Draws(window.window(), d);
    if (draws.first == draws.end || window.epochs(i) < draws.first / datasets_[d].samples ||
        window.epochs(i) > (draws.end - 1) / datasets_[d].samples) {
      return false;
    }
  }
  return true;
}

absl::Status Audit::AddResult(const JobState& job, uint64_t chunk,
                              const v1::AuditedWindows& result) {
  if (job.uid() != uid_) return absl::InvalidArgumentError("the audited job is gone");
  if (done_[chunk]) return absl::OkStatus();
  const std::vector<uint64_t> windows = Windows(chunk);
  if (static_cast<size_t>(result.windows_size()) != windows.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("audit of ", windows.size(), " windows returned ", result.windows_size()));
  }
  for (int i = 0; i < result.windows_size(); ++i) {
    if (result.windows(i).window() != windows[i] || !Fits(job, result.windows(i))) {
      return absl::InvalidArgumentError(
          absl::StrCat("audit of window ", windows[i], " returned numbers that do not fit"));
    }
  }
  for (const v1::AuditedWindows::Window& window : result.windows()) {
    const uint64_t w = window.window();
    if (window.digest() != job.order().DigestOf(w) ||
        static_cast<uint32_t>(window.pack_samples_size()) != job.order().PacksOf(w)) {
      reply_.set_plans_match(false);
      continue;
    }
    bool whole = true;
    int next = 0;
    for (int p = 0; p < window.pack_samples_size(); ++p) {
      const uint64_t ordinal = job.order().Ordinal(w, p);
      const bool inside = ordinal >= first_ordinal_ && ordinal < end_ordinal_;
      whole = whole && inside;
      for (uint32_t i = 0; i < window.pack_samples(p); ++i, ++next) {
        if (!inside) continue;
        const uint64_t sample = window.samples(next);
        const uint32_t d = DatasetOf(sample);
        Epoch& epoch = EpochOf(d, window.epochs(next));
        uint8_t& times = epoch.times[sample - datasets_[d].first];
        if (times == 0) ++epoch.seen;
        if (times == 1) reply_.set_repeated_samples(reply_.repeated_samples() + 1);
        if (times < 255) ++times;
      }
    }
    if (whole) AddDraws(job.layout(), w);
  }
  done_[chunk] = true;
  --left_;
  return absl::OkStatus();
}

void Audit::AddDraws(const StreamLayout& layout, uint64_t window) {
  for (uint32_t d = 0; d < datasets_.size(); ++d) {
    const uint64_t size = datasets_[d].samples;
    DrawRange draws = layout.Draws(window, d);
    while (draws.first < draws.end) {
      const uint64_t number = draws.first / size;
      const uint64_t end = std::min(draws.end, (number + 1) * size);
      EpochOf(d, number).draws += end - draws.first;
      draws.first = end;
    }
  }
}

std::optional<absl::StatusOr<v1::AuditReply>> Audit::Result() const {
  if (!failure_.ok()) return absl::StatusOr<v1::AuditReply>(failure_);
  if (left_ > 0) return std::nullopt;
  v1::AuditReply reply = reply_;
  for (const auto& [key, epoch] : epochs_) {
    const uint64_t samples = datasets_[key.first].samples;
    v1::AuditReply::Epoch* out = reply.add_epochs();
    out->set_dataset(key.first);
    out->set_epoch(key.second);
    out->set_samples_seen(epoch.seen);
    out->set_samples_in_epoch(samples);
    out->set_complete(epoch.draws == samples);
    reply.set_samples(reply.samples() + epoch.seen);
  }
  return absl::StatusOr<v1::AuditReply>(std::move(reply));
}

}  // namespace navit
