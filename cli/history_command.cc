// navitctl history: the curve of a job, or of two, as a plot, CSV, JSON or TensorBoard events.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/plot.h"
#include "cli/tensorboard.h"
#include "cli/text.h"
#include "common/job_spec/print.h"
#include "common/status_macros.h"
#include "common/step_curve.h"

namespace navit {
namespace {

struct JobHistory {
  v1::Job job;
  v1::HistoryReply history;
};

double PerSecond(double amount, const v1::StepReport& step) {
  return step.seconds() > 0 ? amount / step.seconds() : 0;
}

// What can be plotted, and stands in a column of the CSV.
struct Metric {
  const char* name;
  std::function<double(const v1::StepReport&)> of;
};

const std::vector<Metric>& Metrics() {
  using Step = const v1::StepReport&;
  static const auto* metrics = new std::vector<Metric>{
      {"loss", [](Step s) { return double{s.loss()}; }},
      {"grad_norm", [](Step s) { return double{s.grad_norm()}; }},
      {"learning_rate", [](Step s) { return double{s.learning_rate()}; }},
      {"logit_scale", [](Step s) { return double{s.logit_scale()}; }},
      {"step_seconds", [](Step s) { return s.seconds(); }},
      {"tokens_per_second", [](Step s) { return PerSecond(UsefulTokens(s), s); }},
      {"examples_per_second",
       [](Step s) { return PerSecond(static_cast<double>(s.valid_examples()), s); }},
      {"fill",
       [](Step s) {
         return s.capacity_tokens() > 0 ? static_cast<double>(s.image_tokens()) /
                                              static_cast<double>(s.capacity_tokens())
                                        : 0;
       }},
      {"valid_examples", [](Step s) { return static_cast<double>(s.valid_examples()); }},
      {"holes", [](Step s) { return static_cast<double>(s.holes()); }},
      {"useful_flops", [](Step s) { return static_cast<double>(s.useful_flops()); }},
  };
  return *metrics;
}

std::string ScoreName(const v1::Scores::Score& score) {
  return absl::StrCat(score.metric(), "@", score.token_budget());
}

// A row per step; a column per metric, and per score at the steps that were evaluated. Numbers have
// all their digits; what is not finite is empty.
std::string Csv(const std::vector<JobHistory>& jobs) {
  std::set<std::string> names;
  for (const JobHistory& job : jobs) {
    for (const v1::StepScores& scores : job.history.scores()) {
      for (const auto& score : scores.scores().scores()) names.insert(ScoreName(score));
    }
  }
  std::string text = "job,step";
  for (const Metric& metric : Metrics()) absl::StrAppend(&text, ",", metric.name);
  for (const std::string& name : names) absl::StrAppend(&text, ",", name);
  text += "\n";
  const auto add = [&](double value) {
    text += ",";
    if (std::isfinite(value)) absl::StrAppendFormat(&text, "%.9g", value);
  };
  for (const JobHistory& job : jobs) {
    std::map<uint64_t, std::map<std::string, double>> scores_at;
    for (const v1::StepScores& scores : job.history.scores()) {
      for (const auto& score : scores.scores().scores()) {
        scores_at[scores.step()][ScoreName(score)] = score.value();
      }
    }
    for (const v1::StepReport& step : job.history.steps()) {
      absl::StrAppend(&text, job.job.name(), ",", step.step());
      for (const Metric& metric : Metrics()) add(metric.of(step));
      const auto scores = scores_at.find(step.step());
      for (const std::string& name : names) {
        const bool here = scores != scores_at.end() && scores->second.count(name) > 0;
        add(here ? scores->second.at(name) : std::numeric_limits<double>::quiet_NaN());
      }
      text += "\n";
    }
  }
  return text;
}

int TerminalColumns() {
  int columns = 0;
  const char* variable = std::getenv("COLUMNS");
  if (variable != nullptr && absl::SimpleAtoi(variable, &columns) && columns > 0) return columns;
  winsize size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

bool Colours() {
  const char* variable = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) != 0 && (variable == nullptr || *variable == '\0');
}

// Means over as many runs of steps as the plot has columns of dots.
PlotSeries SeriesOf(const JobHistory& job, const Metric& metric, int points) {
  PlotSeries series;
  series.name = absl::StrCat(job.job.name(), ": ", metric.name, " by step");
  const int steps = job.history.steps_size();
  const int runs = std::min(steps, points);
  for (int run = 0; run < runs; ++run) {
    const int first = static_cast<int>(int64_t{steps} * run / runs);
    const int end = static_cast<int>(int64_t{steps} * (run + 1) / runs);
    double sum = 0;
    int count = 0;
    for (int i = first; i < end; ++i) {
      const double value = metric.of(job.history.steps(i));
      if (!std::isfinite(value)) continue;
      sum += value;
      ++count;
    }
    series.x.push_back(static_cast<double>(job.history.steps(end - 1).step()));
    series.y.push_back(count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN());
  }
  return series;
}

std::string Plots(const std::vector<JobHistory>& jobs, const Metric& metric) {
  for (const JobHistory& job : jobs) {
    if (job.history.steps_size() == 0) {
      return absl::StrCat(job.job.name(), ": no committed step yet\n");
    }
  }
  const int columns = TerminalColumns();
  const bool beside = jobs.size() > 1 && columns >= 80;
  PlotOptions options;
  options.width = beside ? (columns - 2) / 2 : std::min(columns, 120);
  std::vector<PlotSeries> series;
  for (const JobHistory& job : jobs) series.push_back(SeriesOf(job, metric, 2 * options.width));
  for (const PlotSeries& one : series) {
    for (const double y : one.y) {
      if (!std::isfinite(y)) continue;
      if (options.low > options.high) options.low = options.high = y;
      options.low = std::min(options.low, y);
      options.high = std::max(options.high, y);
    }
  }
  std::vector<std::vector<std::string>> plots;
  const char* colours[] = {"36", "33"};
  for (size_t i = 0; i < series.size(); ++i) {
    if (Colours()) options.colour = colours[i % 2];
    plots.push_back(PlotLines(series[i], options));
  }
  std::string text;
  if (!beside) {
    for (const auto& lines : plots) absl::StrAppend(&text, absl::StrJoin(lines, "\n"), "\n");
  } else {
    for (size_t r = 0; r < std::max(plots[0].size(), plots[1].size()); ++r) {
      const std::string left = r < plots[0].size() ? plots[0][r] : "";
      const std::string right = r < plots[1].size() ? plots[1][r] : "";
      const int room = std::max(0, options.width - TextColumns(left)) + 2;
      absl::StrAppend(&text, left, std::string(static_cast<size_t>(room), ' '), right, "\n");
    }
  }
  return text;
}

// A few steps in numbers: evenly over the longer job.
std::string Numbers(const std::vector<JobHistory>& jobs) {
  std::vector<std::vector<std::string>> rows(1, {"STEP"});
  int steps = 0;
  for (const JobHistory& job : jobs) {
    const std::string of = jobs.size() > 1 ? absl::StrCat(" ", job.job.name()) : "";
    for (const char* head : {"LOSS", "GRAD NORM", "LR", "TOKENS/S"}) rows[0].push_back(head + of);
    steps = std::max(steps, job.history.steps_size());
  }
  const int shown = std::min(steps, 8);
  for (int i = 0; i < shown; ++i) {
    const int at = shown == 1 ? 0 : static_cast<int>(int64_t{steps - 1} * i / (shown - 1));
    std::vector<std::string> row = {absl::StrCat(at + 1)};
    for (const JobHistory& job : jobs) {
      if (at >= job.history.steps_size()) {
        row.insert(row.end(), 4, "");
        continue;
      }
      const v1::StepReport& step = job.history.steps(at);
      row.push_back(absl::StrFormat("%.4f", step.loss()));
      row.push_back(absl::StrFormat("%.4g", step.grad_norm()));
      row.push_back(absl::StrFormat("%.3g", step.learning_rate()));
      row.push_back(absl::StrFormat("%.0f", PerSecond(UsefulTokens(step), step)));
    }
    rows.push_back(std::move(row));
  }
  return Table(rows);
}

absl::StatusOr<Metric> MetricNamed(const std::string& name) {
  std::vector<std::string> names;
  for (const Metric& metric : Metrics()) {
    if (name == metric.name) return metric;
    names.push_back(metric.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--metric: must be one of ", absl::StrJoin(names, ", "), ", is `", name, "`"));
}

absl::Status Run(const CommandContext& context) {
  const std::string format = context.arguments.Get("o", "");
  if (!format.empty() && format != "csv" && format != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("-o: must be csv or json, is `", format, "`"));
  }
  NAVIT_ASSIGN_OR_RETURN(const Metric metric,
                         MetricNamed(context.arguments.Get("metric", "loss")));
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(context));
  std::vector<JobHistory> jobs;
  for (const std::string& name : context.arguments.words()) {
    JobHistory job;
    NAVIT_ASSIGN_OR_RETURN(job.job, client->Get(name));
    NAVIT_ASSIGN_OR_RETURN(job.history, client->History(name));
    jobs.push_back(std::move(job));
  }
  if (context.arguments.Has("tensorboard")) {
    for (const JobHistory& job : jobs) {
      NAVIT_ASSIGN_OR_RETURN(
          const std::string path,
          WriteTensorboard(context.arguments.Get("tensorboard", ""), job.job, job.history));
      std::cout << path << "\n";
    }
    return absl::OkStatus();
  }
  if (format == "csv") {
    std::cout << Csv(jobs);
  } else if (format == "json" && jobs.size() == 1) {
    std::cout << ToJson(jobs[0].history);
  } else if (format == "json") {
    std::cout << "[" << ToJson(jobs[0].history) << "," << ToJson(jobs[1].history) << "]\n";
  } else {
    std::cout << Plots(jobs, metric) << "\n" << Numbers(jobs);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> HistoryCommands() {
  return {{"history",
           "JOB [JOB2] [--metric NAME] [-o csv|json] [--tensorboard FOLDER]",
           "the curve of a job by step as a plot, of two side by side, or as files",
           1,
           2,
           {"metric", "tensorboard"},
           [](const CommandContext& context) {
             const absl::Status status = Run(context);
             return status.ok() ? kExitOk : Fail(status);
           }}};
}

}  // namespace navit
