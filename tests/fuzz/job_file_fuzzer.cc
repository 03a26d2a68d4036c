// Job files: text to a message, checked, and back to text.
#include <google/protobuf/util/message_differencer.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/job_spec/parse.h"
#include "common/job_spec/print.h"
#include "common/job_spec/resolve.h"
#include "common/job_spec/validate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  navit::v1::JobSpec changed;
  (void)navit::SetField(text, &changed);
  navit::SourceLocations locations;
  absl::StatusOr<navit::v1::JobSpec> spec = navit::ParseJobFile(text, "f", &locations);
  if (!spec.ok()) {
    if (!absl::IsInvalidArgument(spec.status()) || spec.status().message().empty()) std::abort();
    return 0;
  }
  const absl::StatusOr<navit::v1::JobSpec> again =
      navit::ParseJobFile(navit::ToYaml(*spec), "printed");
  if (!again.ok() || !google::protobuf::util::MessageDifferencer::Equals(*spec, *again)) {
    std::abort();
  }
  navit::ResolveJobSpec(&*spec);
  for (const navit::FieldViolation& violation : navit::ValidateJobSpec(*spec)) {
    if (navit::ViolationText("f", locations, violation).empty()) std::abort();
  }
  return 0;
}
