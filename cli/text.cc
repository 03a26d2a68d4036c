#include "cli/text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/phase_words.h"

namespace navit {
namespace {

std::string Steps(const v1::Job& job) {
  if (job.total_steps() == 0) return absl::StrCat(job.committed_step());
  return absl::StrCat(job.committed_step(), "/", job.total_steps());
}

// Image tokens over image capacity, in percent.
std::string Fill(const v1::Job& job) {
  if (job.capacity_tokens() == 0) return "";
  return absl::StrFormat("%.2f %%", 100.0 * job.image_tokens() / job.capacity_tokens());
}

// "12/40, 1310.4 MiB, ETA 1m20s"
std::string IndexProgress(const v1::Job& job) {
  std::string text = absl::StrFormat("%d/%d, %.1f MiB", job.shards_indexed(), job.shards_total(),
                                     static_cast<double>(job.indexed_bytes()) / (1 << 20));
  if (job.index_remaining_seconds() > 0) {
    absl::StrAppend(&text, ", ETA ",
                    absl::FormatDuration(absl::Seconds(std::ceil(job.index_remaining_seconds()))));
  }
  return text;
}

double UsefulTokensPerSecond(const v1::StepReport& step) {
  return step.seconds() > 0 ? (step.image_tokens() + step.text_tokens()) / step.seconds() : 0;
}

std::string Thousands(double value) {
  return value < 10000 ? absl::StrFormat("%.0f", value) : absl::StrFormat("%.1fk", value / 1000);
}

std::string Lower(absl::string_view enum_name) { return absl::AsciiStrToLower(enum_name); }

double MedianTokensPerSecond(const v1::HistoryReply& history) {
  std::vector<double> rates;
  for (const v1::StepReport& step : history.steps()) rates.push_back(UsefulTokensPerSecond(step));
  if (rates.empty()) return 0;
  std::nth_element(rates.begin(), rates.begin() + rates.size() / 2, rates.end());
  return rates[rates.size() / 2];
}

// "heldout/image_to_text/r@5 @64", "12.5 %  (chance 1.00 %, 12x)"; chance has no row of its own.
std::vector<std::vector<std::string>> ScoreRows(const v1::Scores& scores) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::Scores::Score& score : scores.scores()) {
    if (absl::EndsWith(score.metric(), "/chance")) continue;
    std::string value = absl::StrFormat("%.1f %%", 100 * score.value());
    for (const v1::Scores::Score& other : scores.scores()) {
      if (other.metric() != score.metric() + "/chance" ||
          other.token_budget() != score.token_budget()) {
        continue;
      }
      absl::StrAppendFormat(&value, "  (chance %.2f %%", 100 * other.value());
      if (other.value() > 0) {
        absl::StrAppendFormat(&value, ", %.0fx", score.value() / other.value());
      }
      value += ")";
    }
    rows.push_back({absl::StrCat(score.metric(), " @", score.token_budget()), std::move(value)});
  }
  return rows;
}

}  // namespace

std::string StateName(v1::JobState state) { return Lower(v1::JobState_Name(state)); }

bool IsFinal(v1::JobState state) {
  return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED;
}

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      absl::StrAppend(&line, row[c], std::string(widths[c] - row[c].size() + 2, ' '));
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

std::string JobsTable(const v1::ListReply& reply) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "STATE", "STEP", "LOSS", "FILL", "TRAINERS", "REASON"}};
  for (const v1::Job& job : reply.jobs()) {
    rows.push_back({job.name(), StateName(job.state()), Steps(job),
                    job.has_last_step() ? absl::StrFormat("%.4f", job.last_step().loss()) : "",
                    Fill(job), absl::StrCat(job.trainers_size()), job.reason()});
  }
  return Table(rows);
}

std::string WorkersTable(const v1::ListWorkersReply& reply) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "ROLE", "STATE", "HOST", "JOBS", "STEP", "PHASE", "HEARD", "HTTP"}};
  for (const auto& worker : reply.workers()) {
    const bool trainer = worker.role() == v1::TRAINER;
    rows.push_back({worker.name(), Lower(v1::Role_Name(worker.role())), worker.state(),
                    worker.host(), absl::StrJoin(worker.jobs(), ","),
                    trainer ? absl::StrCat(worker.step()) : "", trainer ? PhaseWords(worker.phase()) : "",
                    absl::StrFormat("%.1f s ago", worker.seconds_since_heard()),
                    worker.http_address()});
  }
  return Table(rows);
}

std::string CheckpointsTable(const v1::ListCheckpointsReply& reply) {
  std::vector<std::vector<std::string>> rows = {{"STEP", "GENERATION", "MIB", "PATH"}};
  for (const auto& checkpoint : reply.checkpoints()) {
    rows.push_back({absl::StrCat(checkpoint.step()), absl::StrCat(checkpoint.generation()),
                    absl::StrFormat("%.1f", checkpoint.bytes() / 1048576.0), checkpoint.path()});
  }
  return Table(rows);
}

std::string Description(const v1::Job& job, const v1::HistoryReply& history) {
  std::vector<std::vector<std::string>> rows = {{"name", job.name()},
                                                {"state", StateName(job.state())}};
  const auto add = [&](absl::string_view name, std::string value) {
    if (!value.empty()) rows.push_back({std::string(name), std::move(value)});
  };
  add("reason", job.reason());
  add("warning", job.warning());
  add("step", Steps(job));
  if (job.has_last_step()) {
    const v1::StepReport& last = job.last_step();
    add("loss", absl::StrFormat("%.4f", last.loss()));
    add("learning rate", absl::StrFormat("%.3g", last.learning_rate()));
    add("gradient norm", absl::StrFormat("%.4g", last.grad_norm()));
    add("logit scale", absl::StrFormat("%.3f", last.logit_scale()));
    add("examples per step", absl::StrCat(last.valid_examples()));
    add("useful tokens/s", Thousands(MedianTokensPerSecond(history)) + " (median step)");
  }
  add("packing efficiency", Fill(job));
  add("samples seen", absl::StrCat(job.samples_seen(), ", of them holes ", job.holes()));
  add("shards indexed", IndexProgress(job));
  add("generation", absl::StrCat(job.generation(), ", recoveries ", job.recoveries()));
  if (job.held_seconds() > 0) {
    add("trainers held", absl::StrFormat("%.2f h", job.held_seconds() / 3600) +
                             (job.spec().budgets().max_hours() > 0
                                  ? absl::StrFormat(" of %g h", job.spec().budgets().max_hours())
                                  : ""));
  }
  add("trainers", absl::StrJoin(job.trainers(), ", "));
  add("last checkpoint", job.last_checkpoint());
  for (std::vector<std::string>& row : ScoreRows(job.scores())) rows.push_back(std::move(row));
  return Table(rows);
}

std::string ScoresTable(const v1::Scores& scores) { return Table(ScoreRows(scores)); }

std::string VerdictText(const v1::TelemetryReply& reply) {
  const v1::Verdict& verdict = reply.verdict();
  if (verdict.kind() == v1::Verdict::VERDICT_UNKNOWN) return "";
  const std::string kind = Lower(v1::Verdict::Kind_Name(verdict.kind()));
  std::string text = absl::StrCat("\nheld up by  ", kind.substr(kind.find('_') + 1), ": ",
                                  verdict.summary(), "\n");
  if (!verdict.next_action().empty()) {
    absl::StrAppend(&text, "next        ", verdict.next_action(), "\n");
  }
  std::vector<std::vector<std::string>> rows;
  for (const v1::Verdict::Number& number : verdict.numbers()) {
    rows.push_back({"  " + number.name(), number.value()});
  }
  return text + Table(rows);
}

std::string LogText(const v1::LogLine& line) {
  std::string who = line.worker();
  if (line.has_rank()) absl::StrAppend(&who, " rank ", line.rank());
  if (line.step() > 0) absl::StrAppend(&who, " step ", line.step());
  std::string message;
  for (const char c : line.message()) {
    if (c == '\n') {
      message += "\n    ";
    } else if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppendFormat(&message, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      message += c;
    }
  }
  return absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::UnixEpoch() + absl::Seconds(line.seconds()),
                       absl::UTCTimeZone()),
      absl::StrFormat(" %-7s %-11s ", line.level(), line.role()), who, ": ", message, "\n");
}

std::string AuditText(const v1::AuditReply& reply) {
  std::string text = absl::StrFormat(
      "steps %d to %d, %d packs, %d samples\n"
      "samples that stand in more than one place: %d\n"
      "plans equal those recorded: %s\n",
      reply.first_step(), reply.last_step(), reply.packs(), reply.samples(),
      reply.repeated_samples(), reply.plans_match() ? "yes" : "NO");
  const bool mixture = std::any_of(reply.epochs().begin(), reply.epochs().end(),
                                   [](const auto& epoch) { return epoch.dataset() > 0; });
  for (const auto& epoch : reply.epochs()) {
    if (mixture) absl::StrAppendFormat(&text, "data.train[%d] ", epoch.dataset());
    absl::StrAppendFormat(&text, "epoch %d: %d of %d samples%s\n", epoch.epoch(),
                          epoch.samples_seen(), epoch.samples_in_epoch(),
                          epoch.complete() ? "" : " (the range covers part of it)");
  }
  if (reply.bad_steps_size() > 0) {
    absl::StrAppend(
        &text, "steps without exactly one record: ", absl::StrJoin(reply.bad_steps(), " "), "\n");
  }
  return text;
}

std::string ProgressLine(const v1::Job& job, double now) {
  std::string line = absl::StrCat(StateName(job.state()), "  step ", Steps(job));
  if (!job.has_last_step()) {
    if (job.state() == v1::INDEXING) {
      absl::StrAppend(&line, "  shards ", IndexProgress(job));
    }
    return line;
  }
  absl::StrAppendFormat(&line, "  loss %.4f  %s useful tokens/s", job.last_step().loss(),
                        Thousands(UsefulTokensPerSecond(job.last_step())));
  if (job.capacity_tokens() > 0) {
    absl::StrAppendFormat(&line, "  padding %.2f %%",
                          100 - 100.0 * job.image_tokens() / job.capacity_tokens());
  }
  if (job.state() == v1::RUNNING && job.progress() > 0 && job.progress() < 1 &&
      now > job.started_seconds()) {
    const double left = (now - job.started_seconds()) * (1 - job.progress()) / job.progress();
    absl::StrAppend(&line, "  ETA ", absl::FormatDuration(absl::Seconds(std::ceil(left))));
  }
  return line;
}

}  // namespace navit
