// start_model JOB.json FOLDER: the weights that a job would start with, in a folder that
// navit-embed and the numpy example read.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/print.h"
#include "common/job_spec/resolve.h"
#include "common/status_macros.h"
#include "worker/parameter_tensors.h"
#include "worker/weights/init_from.h"

namespace navit {
namespace {

absl::Status StartModel(const std::string& job, const std::string& folder) {
  NAVIT_ASSIGN_OR_RETURN(const std::string text, ReadFile(job));
  NAVIT_ASSIGN_OR_RETURN(v1::JobSpec spec, ParseJobFile(text, job));
  ResolveJobSpec(&spec);
  NAVIT_ASSIGN_OR_RETURN(const ModelConfig config,
                         ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss()));
  const ParameterTable table(config);
  ModelState state(table);
  InitializeState(table, spec.seed(), &state);
  NAVIT_RETURN_IF_ERROR(InitializeFrom(MakeObjectStore().get(), spec.init_from(), table, &state));
  NAVIT_RETURN_IF_ERROR(EnsureFolder(folder));
  std::vector<TensorView> tensors;
  AddTensors(table, state.parameters, "", &tensors);
  NAVIT_RETURN_IF_ERROR(WriteSafetensors(folder + "/model.safetensors", tensors, {}).status());
  return AtomicWriteFile(folder + "/config.json", ToJson(spec));
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: start_model JOB.json FOLDER\n");
    return 2;
  }
  const absl::Status status = navit::StartModel(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "start_model: %s\n", status.ToString().c_str());
  return 1;
}
