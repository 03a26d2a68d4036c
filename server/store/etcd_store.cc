#include "server/store/etcd_store.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/clock.h"
#include "common/status_macros.h"
#include "server/store/etcd_client.h"
#include "server/store/record_check.h"

namespace navit {

namespace etcd = ::etcdserverpb;

namespace {

constexpr size_t kPieceBytes = size_t{512} << 10;
constexpr size_t kCheckBytes = sizeof(uint64_t);

std::string Checked(uint64_t number, absl::string_view name, absl::string_view body) {
  const uint64_t check = RecordCheck(number, name, body);
  return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(&check), kCheckBytes), body);
}

// The body of a value that Checked made; nullopt: it is damaged. Lives as long as `value`.
std::optional<absl::string_view> Body(uint64_t number, absl::string_view name,
                                      absl::string_view value) {
  if (value.size() < kCheckBytes) return std::nullopt;
  uint64_t check;
  std::memcpy(&check, value.data(), kCheckBytes);
  value.remove_prefix(kCheckBytes);
  if (check != RecordCheck(number, name, value)) return std::nullopt;
  return value;
}

std::string LastValue(uint64_t seq, uint64_t count) {
  return absl::StrCat(absl::Hex(seq, absl::kZeroPad16), " ", count);
}

void AddPut(std::string key, std::string value, etcd::TxnRequest* txn) {
  etcd::PutRequest* put = txn->add_success()->mutable_request_put();
  put->set_key(std::move(key));
  put->set_value(std::move(value));
}

void AddDelete(std::string begin, std::string end, etcd::TxnRequest* txn) {
  etcd::DeleteRangeRequest* drop = txn->add_success()->mutable_request_delete_range();
  drop->set_key(std::move(begin));
  drop->set_range_end(std::move(end));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdStore>> EtcdStore::Open(std::shared_ptr<grpc::Channel> channel,
                                                           EtcdStoreOptions options,
                                                           LeaderKey leader) {
  auto client = std::make_unique<EtcdClient>(std::move(channel), options.timeout);
  std::unique_ptr<EtcdStore> store(
      new EtcdStore(std::move(options), std::move(client), std::move(leader)));
  NAVIT_RETURN_IF_ERROR(store->CheckSchema());
  return store;
}

EtcdStore::EtcdStore(EtcdStoreOptions options, std::unique_ptr<EtcdClient> client, LeaderKey leader)
    : options_(std::move(options)), client_(std::move(client)), leader_(std::move(leader)) {}

EtcdStore::~EtcdStore() = default;

std::string EtcdStore::Key(absl::string_view name) const {
  return absl::StrCat(options_.prefix, "/", name);
}

absl::Status EtcdStore::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat("etcd: ", options_.prefix, ": damaged: ", what,
                                          "; restore etcd from a snapshot, or start with another "
                                          "prefix"));
}

etcd::TxnRequest EtcdStore::NewTransaction() const {
  etcd::TxnRequest txn;
  etcd::Compare* compare = txn.add_compare();
  compare->set_target(etcd::Compare::CREATE);
  compare->set_key(leader_.key);
  compare->set_create_revision(leader_.create_revision);
  txn.add_failure()->mutable_request_range()->set_key(leader_.key);
  return txn;
}

absl::Status EtcdStore::CheckLeader(const etcd::RangeResponse& leader) const {
  if (leader.kvs_size() > 0 && leader.kvs(0).create_revision() == leader_.create_revision) {
    return absl::OkStatus();
  }
  if (options_.on_deposed) options_.on_deposed();
  return absl::AbortedError(absl::StrCat(
      "etcd: ", options_.prefix, ": this coordinator leads no more, ",
      leader.kvs_size() > 0 ? leader.kvs(0).value() + " does" : "and nobody does yet"));
}

absl::Status EtcdStore::CheckSchema() {
  const std::string key = Key("schema_version");
  NAVIT_ASSIGN_OR_RETURN(const std::optional<std::string> found, client_->Get(key));
  if (!found.has_value()) {
    NAVIT_ASSIGN_OR_RETURN(const std::optional<std::string> last, client_->Get(Key("last")));
    if (last.has_value()) return Damaged("it has events, but no schema_version");
    etcd::TxnRequest txn = NewTransaction();
    AddPut(key, absl::StrCat(kSchemaVersion), &txn);
    AddPut(Key("last"), LastValue(0, 0), &txn);
    NAVIT_ASSIGN_OR_RETURN(const etcd::TxnResponse reply, client_->Txn(txn));
    return reply.succeeded() ? absl::OkStatus() : CheckLeader(reply.responses(0).response_range());
  }
  int version = 0;
  if (!absl::SimpleAtoi(*found, &version) || version < 1) {
    return Damaged(absl::StrCat("schema_version `", *found, "` never existed"));
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "etcd: ", key, ": is ", version,
        ", written by a newer navit-coordinator; this one knows versions up to ", kSchemaVersion));
  }
  return absl::OkStatus();
}

absl::Status EtcdStore::Load(const std::function<absl::Status(const v1::Event&)>& apply) {
  NAVIT_ASSIGN_OR_RETURN(const std::optional<std::string> last, client_->Get(Key("last")));
  // Keys come in the order of jobs; events apply in that of their numbers.
  std::map<uint64_t, std::pair<std::string, std::string>> events;
  const std::string below = Key("events/");
  NAVIT_RETURN_IF_ERROR(client_->ForEach(
      below, [&](const std::string& key, const std::string& value) -> absl::Status {
        const std::pair<std::string, std::string> name =
            absl::StrSplit(absl::StripPrefix(key, below), absl::MaxSplits('/', 1));
        uint64_t seq = 0;
        if (!absl::SimpleHexAtoi(name.second, &seq)) {
          return Damaged(absl::StrCat(key, " is no key of an event"));
        }
        events[seq] = {name.first, value};
        return absl::OkStatus();
      }));
  last_seq_ = events.empty() ? 0 : events.rbegin()->first;
  count_ = events.size();
  if (const std::string present = LastValue(last_seq_, count_); last != present) {
    return Damaged(absl::StrCat("last event and number of events are ", present, " instead of ",
                                last.value_or("nothing")));
  }
  jobs_.clear();
  for (const auto& [seq, named] : events) {
    const auto& [job, value] = named;
    const std::optional<absl::string_view> body = Body(seq, job, value);
    v1::Event event;
    if (!body.has_value() || !event.ParseFromArray(body->data(), static_cast<int>(body->size()))) {
      return Damaged(absl::StrCat("event ", seq, " does not match its checksum"));
    }
    JobRecords& records = jobs_[job];
    ++records.events;
    if (event.has_manifest_frozen()) {
      NAVIT_RETURN_IF_ERROR(LoadManifest(event.mutable_manifest_frozen()));
      records.manifests.insert(event.manifest_frozen().hash());
    }
    NAVIT_RETURN_IF_ERROR(apply(event));
  }
  return absl::OkStatus();
}

absl::Status EtcdStore::LoadManifest(v1::ManifestFrozen* frozen) const {
  const std::string& hash = frozen->hash();
  std::string bytes;
  uint64_t piece = 0;
  bool whole = false;
  NAVIT_RETURN_IF_ERROR(
      client_->ForEach(Key(absl::StrCat("manifests/", hash, "/")),
                       [&](const std::string&, const std::string& value) -> absl::Status {
                         const std::optional<absl::string_view> body = Body(piece++, hash, value);
                         if (whole || !body.has_value()) {
                           return Damaged(absl::StrCat("piece ", piece, " of manifest ", hash,
                                                       " does not match its checksum"));
                         }
                         absl::StrAppend(&bytes, *body);
                         whole = body->size() < kPieceBytes;
                         return absl::OkStatus();
                       }));
  if (!whole || !frozen->mutable_manifest()->ParseFromString(bytes)) {
    return Damaged(absl::StrCat("manifest ", hash, " is gone, or has lost its end"));
  }
  return absl::OkStatus();
}

absl::Status EtcdStore::Append(absl::Span<const v1::Event> events) {
  if (!write_error_.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("etcd: no further write after one that failed: ", write_error_.message()));
  }
  if (events.empty()) return absl::OkStatus();
  const absl::Duration began = Clock::Real()->SteadyNow();
  etcd::TxnRequest txn = NewTransaction();
  const Change change = AddEvents(events, &txn);
  if (txn.success_size() > kMaxTransactionOperations || txn.ByteSizeLong() > kMaxTransactionBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("etcd: ", events.size(), " events of ", txn.ByteSizeLong(),
                     " bytes are more than one transaction takes (", kMaxTransactionBytes,
                     " bytes, ", kMaxTransactionOperations, " operations); nothing was stored"));
  }
  write_error_ = Write(events, txn, change);
  if (write_error_.ok() && options_.on_commit) {
    options_.on_commit(Clock::Real()->SteadyNow() - began);
  }
  return write_error_;
}

EtcdStore::Change EtcdStore::AddEvents(absl::Span<const v1::Event> events,
                                       etcd::TxnRequest* txn) const {
  etcd::Compare* unchanged = txn->add_compare();
  unchanged->set_target(etcd::Compare::VALUE);
  unchanged->set_key(Key("last"));
  unchanged->set_value(LastValue(last_seq_, count_));
  txn->add_failure()->mutable_request_range()->set_key(Key("last"));

  // A transaction may not write and delete one key: what a later event deletes is not written.
  std::map<std::string, size_t> deleted_at;
  for (size_t i = 0; i < events.size(); ++i) {
    if (events[i].has_job_deleted()) deleted_at[events[i].job()] = i;
  }
  Change change;
  change.last_seq = last_seq_;
  change.count = count_;
  for (size_t i = 0; i < events.size(); ++i) {
    const std::string& job = events[i].job();
    const uint64_t seq = ++change.last_seq;
    const auto deletion = deleted_at.find(job);
    if (deletion != deleted_at.end() && i < deletion->second) continue;
    if (change.jobs.count(job) == 0) {
      const auto stored = jobs_.find(job);
      change.jobs[job] = stored == jobs_.end() ? JobRecords() : stored->second;
    }
    JobRecords& records = change.jobs[job];
    const std::string job_key = Key(absl::StrCat("events/", job, "/"));
    const std::string key = absl::StrCat(job_key, absl::Hex(seq, absl::kZeroPad16));
    if (events[i].has_job_deleted()) {
      AddDelete(job_key, key, txn);
      change.count -= records.events;
      change.released.merge(records.manifests);
      records = JobRecords();
    }
    v1::Event bare = events[i];
    if (bare.has_manifest_frozen()) {
      bare.mutable_manifest_frozen()->clear_manifest();
      records.manifests.insert(bare.manifest_frozen().hash());
    }
    ++records.events;
    ++change.count;
    AddPut(key, Checked(seq, job, bare.SerializeAsString()), txn);
  }
  // Several jobs may share a manifest: it goes with the last that names it.
  for (const std::string& hash : change.released) {
    if (ManifestNamed(hash, change)) continue;
    const std::string prefix = Key(absl::StrCat("manifests/", hash, "/"));
    AddDelete(prefix, PrefixEnd(prefix), txn);
  }
  AddPut(Key("last"), LastValue(change.last_seq, change.count), txn);
  return change;
}

bool EtcdStore::ManifestNamed(const std::string& hash, const Change& change) const {
  const auto names = [&](const auto& job) { return job.second.manifests.count(hash) > 0; };
  return std::any_of(change.jobs.begin(), change.jobs.end(), names) ||
         std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& job) {
           return change.jobs.count(job.first) == 0 && names(job);
         });
}

absl::Status EtcdStore::Write(absl::Span<const v1::Event> events, const etcd::TxnRequest& txn,
                              const Change& change) {
  for (const v1::Event& event : events) {
    if (event.has_manifest_frozen()) NAVIT_RETURN_IF_ERROR(StoreManifest(event.manifest_frozen()));
  }
  NAVIT_ASSIGN_OR_RETURN(const etcd::TxnResponse reply, client_->Txn(txn));
  if (!reply.succeeded()) {
    NAVIT_RETURN_IF_ERROR(CheckLeader(reply.responses(0).response_range()));
    // The leader alone writes `last`: this was sent twice and done at its first arrival, or
    // somebody changed the store behind our back.
    const etcd::RangeResponse& last = reply.responses(1).response_range();
    if (last.kvs_size() == 0 || last.kvs(0).value() != LastValue(change.last_seq, change.count)) {
      return Damaged("`last` is not what the leader wrote");
    }
  }
  last_seq_ = change.last_seq;
  count_ = change.count;
  for (const auto& [job, records] : change.jobs) jobs_[job] = records;
  return absl::OkStatus();
}

absl::Status EtcdStore::StoreManifest(const v1::ManifestFrozen& frozen) {
  const std::string bytes = frozen.manifest().SerializeAsString();
  // The piece that is shorter than the others ends the manifest.
  for (uint64_t piece = 0; piece <= bytes.size() / kPieceBytes; ++piece) {
    etcd::TxnRequest txn = NewTransaction();
    AddPut(Key(absl::StrCat("manifests/", frozen.hash(), "/", absl::Hex(piece, absl::kZeroPad8))),
           Checked(piece, frozen.hash(),
                   absl::string_view(bytes).substr(piece * kPieceBytes, kPieceBytes)),
           &txn);
    NAVIT_ASSIGN_OR_RETURN(const etcd::TxnResponse reply, client_->Txn(txn));
    if (!reply.succeeded()) {
      NAVIT_RETURN_IF_ERROR(CheckLeader(reply.responses(0).response_range()));
    }
  }
  return absl::OkStatus();
}

}  // namespace navit
