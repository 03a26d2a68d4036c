#include "worker/replica_state.h"

#include <xxhash.h>

#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/status_macros.h"

namespace navit {
namespace {

absl::Span<char> Bytes(AlignedBuffer* buffer) {
  return absl::MakeSpan(reinterpret_cast<char*>(buffer->data()), buffer->size() * sizeof(float));
}

}  // namespace

absl::Status BroadcastState(int source, uint64_t step, ModelState* state, Collective* collective) {
  std::array<uint64_t, 3> header = {state->updates, step, state->parameters.size()};
  NAVIT_RETURN_IF_ERROR(collective->Broadcast(
      absl::MakeSpan(reinterpret_cast<char*>(header.data()), sizeof(header)), source));
  if (header[1] != step || header[2] != state->parameters.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("rank ", source, " has a state of step ", header[1], " with ", header[2],
                     " numbers, expected step ", step, " with ", state->parameters.size()));
  }
  state->updates = header[0];
  for (AlignedBuffer* buffer :
       {&state->average, &state->parameters, &state->first_moment, &state->second_moment}) {
    NAVIT_RETURN_IF_ERROR(collective->Broadcast(Bytes(buffer), source));
  }
  return absl::OkStatus();
}

absl::Status CompareReplicas(uint64_t step, const ModelState& state, Collective* collective) {
  const uint64_t mine =
      XXH3_64bits(state.parameters.data(), state.parameters.size() * sizeof(float));
  const std::vector<size_t> counts(collective->world_size(), 1);
  std::vector<uint64_t> all(counts.size());
  NAVIT_RETURN_IF_ERROR(
      collective->AllGather(absl::MakeConstSpan(&mine, 1), counts, absl::MakeSpan(all)));
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    return absl::InternalError(absl::StrCat("after step ", step, " the parameters of rank ", rank,
                                            " differ from those of rank 0"));
  }
  return absl::OkStatus();
}

}  // namespace navit
