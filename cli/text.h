// Jobs, workers and curves as text for people.
#ifndef NAVIT_CLI_TEXT_H_
#define NAVIT_CLI_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/jobs.pb.h"

namespace navit {

// "running", as in job files and `-o json`.
std::string StateName(v1::JobState state);
bool IsFinal(v1::JobState state);

// Left-aligned columns; the first row is the heading.
std::string Table(const std::vector<std::vector<std::string>>& rows);
std::string JobsTable(const v1::ListReply& reply);
std::string WorkersTable(const v1::ListWorkersReply& reply);
std::string CheckpointsTable(const v1::ListCheckpointsReply& reply);
std::string Description(const v1::Job& job, const v1::HistoryReply& history);
// Every score at every token budget, with its chance level.
std::string ScoresTable(const v1::Scores& scores);
// What holds the job up, the next action and the numbers; empty: nothing is known.
std::string VerdictText(const v1::TelemetryReply& reply);
// One line of a job's log; control characters are escaped, so that no log moves a terminal's
// cursor.
std::string LogText(const v1::LogLine& line);
std::string AuditText(const v1::AuditReply& reply);
// "step 120/200  loss 2.311  15.2k useful tokens/s  padding 0.4 %  ETA 1m20s"; `now` in Unix
// seconds.
std::string ProgressLine(const v1::Job& job, double now);

}  // namespace navit

#endif  // NAVIT_CLI_TEXT_H_
