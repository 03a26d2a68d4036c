#include "common/metrics.h"

#include <dirent.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/log.h"
#include "common/version.h"

namespace navit {
namespace {

prometheus::MetricFamily Family(const char* name, const char* help, prometheus::MetricType type,
                                double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return {name, help, type, {metric}};
}

std::string Slurp(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Fields of /proc/self/stat behind the program's name, which may hold spaces and brackets; the
// first is field 3 of proc(5).
std::vector<double> StatFields() {
  const std::string stat = Slurp("/proc/self/stat");
  const size_t end = stat.rfind(')');
  std::vector<double> fields;
  if (end == std::string::npos) return fields;
  for (absl::string_view word :
       absl::StrSplit(absl::string_view(stat).substr(end + 1), ' ', absl::SkipEmpty())) {
    double value = 0;
    if (!absl::SimpleAtod(word, &value)) value = 0;  // The state letter.
    fields.push_back(value);
  }
  return fields;
}

// Unix time at which the machine started.
double BootTime() {
  for (absl::string_view line : absl::StrSplit(Slurp("/proc/stat"), '\n')) {
    std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    double seconds = 0;
    if (words.size() == 2 && words[0] == "btime" && absl::SimpleAtod(words[1], &seconds)) {
      return seconds;
    }
  }
  return 0;
}

int OpenFileDescriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int count = 0;
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.';
  ::closedir(folder);
  return count - 1;  // The one that reads the folder.
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  using prometheus::MetricType;
  std::vector<prometheus::MetricFamily> families;
  prometheus::MetricFamily build =
      Family("navit_build_info", "Program version; always 1.", MetricType::Gauge, 1);
  build.metric[0].label = {{"version", Version()}, {"revision", Revision()}, {"role", role_}};
  families.push_back(std::move(build));

  const std::vector<double> fields = StatFields();
  // proc(5) counts from 1 and field 3 is fields[0].
  const auto field = [&](size_t number) {
    return fields.size() > number - 3 ? fields[number - 3] : 0.0;
  };
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  families.push_back(Family("process_cpu_seconds_total", "User and system CPU time spent.",
                            MetricType::Counter, (field(14) + field(15)) / ticks));
  families.push_back(Family("process_resident_memory_bytes", "Resident memory.", MetricType::Gauge,
                            field(24) * static_cast<double>(::sysconf(_SC_PAGESIZE))));
  families.push_back(Family("process_open_fds", "Open file descriptors.", MetricType::Gauge,
                            OpenFileDescriptors()));
  families.push_back(Family("navit_log_lines_dropped_total",
                            "Log lines that found no room on their way to the coordinator.",
                            MetricType::Counter, static_cast<double>(DroppedLogLines())));
  families.push_back(Family("process_start_time_seconds", "Start of the process, unix time.",
                            MetricType::Gauge, BootTime() + field(22) / ticks));
  return families;
}

std::string MetricsText(const std::vector<std::shared_ptr<prometheus::Collectable>>& sources) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& source : sources) {
    std::vector<prometheus::MetricFamily> collected = source->Collect();
    families.insert(families.end(), std::make_move_iterator(collected.begin()),
                    std::make_move_iterator(collected.end()));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return text.str();
}

HttpHandler MetricsRoute(const std::string& role,
                         std::shared_ptr<prometheus::Collectable> registry) {
  auto process = std::make_shared<ProcessMetrics>(role);
  return [process, registry = std::move(registry)](const HttpRequest&) {
    return HttpResponse{200, "text/plain; version=0.0.4; charset=utf-8",
                        MetricsText({process, registry})};
  };
}

}  // namespace navit
