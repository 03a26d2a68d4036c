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
  audit.dataset_samples_ = job.manifest()->train_samples();
  audit.windows_per_epoch_ = job.layout().windows_per_epoch();
  // Whole groups: ordinals run over all windows of a group. Groups without packs between or around
  // them belong to the range, so that an epoch's count of windows is whole.
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
    const v1::AuditedWindows::Window& window = result.windows(i);
    uint64_t samples = 0;
    for (uint32_t n : window.pack_samples()) samples += n;
    if (window.window() != windows[i] || samples != static_cast<uint64_t>(window.samples_size()) ||
        std::any_of(window.samples().begin(), window.samples().end(),
                    [this](uint64_t s) { return s >= dataset_samples_; })) {
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
    const uint64_t number = job.layout().Window(w).epoch;
    Epoch& epoch = epochs_[number];
    if (epoch.times.empty()) epoch.times.assign(dataset_samples_, 0);
    bool whole = true;
    int next = 0;
    for (int p = 0; p < window.pack_samples_size(); ++p) {
      const uint64_t ordinal = job.order().Ordinal(w, p);
      const bool inside = ordinal >= first_ordinal_ && ordinal < end_ordinal_;
      whole = whole && inside;
      for (uint32_t i = 0; i < window.pack_samples(p); ++i, ++next) {
        if (!inside) continue;
        uint8_t& times = epoch.times[window.samples(next)];
        if (times == 0) ++epoch.seen;
        if (times == 1) reply_.set_repeated_samples(reply_.repeated_samples() + 1);
        if (times < 255) ++times;
      }
    }
    if (whole) ++epoch.windows;
  }
  done_[chunk] = true;
  --left_;
  return absl::OkStatus();
}

std::optional<absl::StatusOr<v1::AuditReply>> Audit::Result() const {
  if (!failure_.ok()) return absl::StatusOr<v1::AuditReply>(failure_);
  if (left_ > 0) return std::nullopt;
  v1::AuditReply reply = reply_;
  for (const auto& [number, epoch] : epochs_) {
    v1::AuditReply::Epoch* out = reply.add_epochs();
    out->set_epoch(number);
    out->set_samples_seen(epoch.seen);
    out->set_samples_in_epoch(dataset_samples_);
    out->set_complete(epoch.windows == windows_per_epoch_);
    reply.set_samples(reply.samples() + epoch.seen);
  }
  return absl::StatusOr<v1::AuditReply>(std::move(reply));
}

}  // namespace navit
