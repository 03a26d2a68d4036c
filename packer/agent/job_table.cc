#include "packer/agent/job_table.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// Equal specs give equal keys within this process, which is all that a cache needs.
std::string SpecKey(const v1::JobSpec& spec) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    spec.SerializeToCodedStream(&coded);
  }
  return bytes;
}

// The value of `key`, moved to the front; nullptr when it is not there.
template <typename Slots>
auto Find(Slots* slots, const std::string& key) -> decltype(slots->front().value) {
  for (auto it = slots->begin(); it != slots->end(); ++it) {
    if (it->key != key) continue;
    slots->splice(slots->begin(), *slots, it);
    return it->value;
  }
  return nullptr;
}

}  // namespace

JobTable::JobTable(DataPlane* data, Fetch fetch, size_t max_jobs)
    : data_(data), fetch_(std::move(fetch)), max_jobs_(max_jobs) {}

absl::StatusOr<std::shared_ptr<const v1::DataManifest>> JobTable::Manifest(
    const std::string& hash) {
  if (auto known = Find(&manifests_, hash)) return known;
  NAVIT_ASSIGN_OR_RETURN(v1::DataManifest fetched, fetch_(hash));
  auto manifest = std::make_shared<const v1::DataManifest>(std::move(fetched));
  manifests_.push_front({hash, manifest});
  if (manifests_.size() > max_jobs_) manifests_.pop_back();
  return manifest;
}

absl::StatusOr<std::shared_ptr<const JobPacks>> JobTable::Open(const v1::JobSpec& spec,
                                                               const std::string& manifest_hash) {
  const std::string key = absl::StrCat(manifest_hash, "/", SpecKey(spec));
  absl::MutexLock lock(&mutex_);
  if (auto known = Find(&jobs_, key)) return known;
  NAVIT_ASSIGN_OR_RETURN(std::shared_ptr<const v1::DataManifest> manifest,
                         Manifest(manifest_hash));
  NAVIT_ASSIGN_OR_RETURN(std::shared_ptr<const JobPacks> packs,
                         data_->Open(spec, std::move(manifest)));
  jobs_.push_front({key, packs});
  if (jobs_.size() > max_jobs_) jobs_.pop_back();
  return packs;
}

}  // namespace navit
