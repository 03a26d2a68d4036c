#include "worker/gloo_transport.h"

#include <gloo/common/error.h>
#include <gloo/transport/context.h>
#include <gloo/transport/pair.h>
#include <gloo/transport/unbound_buffer.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/gloo_context.h"

namespace navit {
namespace {

using gloo::transport::UnboundBuffer;

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string AddressKey(int rank) { return absl::StrCat("gloo/", rank); }

// The addresses on which a rank awaits each other rank: a byte count before each.
std::string PackAddresses(const std::vector<std::vector<char>>& addresses) {
  std::string packed;
  for (const std::vector<char>& address : addresses) {
    packed.push_back(static_cast<char>(address.size() & 0xff));
    packed.push_back(static_cast<char>(address.size() >> 8));
    packed.append(address.data(), address.size());
  }
  return packed;
}

// The `index`-th of them; empty when `packed` is not such a list.
std::vector<char> UnpackAddress(const std::string& packed, int index) {
  size_t position = 0;
  for (int i = 0; position + 2 <= packed.size(); ++i) {
    const size_t size = static_cast<unsigned char>(packed[position]) |
                        static_cast<size_t>(static_cast<unsigned char>(packed[position + 1])) << 8;
    position += 2;
    if (position + size > packed.size()) break;
    if (i == index) return {packed.begin() + position, packed.begin() + position + size};
    position += size;
  }
  return {};
}

}  // namespace

GlooTransport::GlooTransport(const GlooOptions& options) : options_(options) {}

GlooTransport::~GlooTransport() = default;

absl::Status GlooTransport::Connect(RendezvousStore* store) {
  absl::Status status;
  try {
    status = ConnectAll(store);
  } catch (const std::exception& e) {
    status = absl::UnavailableError(absl::StrCat("connecting the ranks: ", e.what()));
  }
  if (!status.ok()) return Break(status);
  absl::MutexLock lock(&mutex_);
  return broken_;
}

absl::Status GlooTransport::ConnectAll(RendezvousStore* store) {
  deadline_ns_ = SteadyNanoseconds() + absl::ToInt64Nanoseconds(options_.timeout);
  // Gloo waits five times this long for a connection.
  const std::chrono::milliseconds timeout(
      std::max<int64_t>(1, absl::ToInt64Milliseconds(options_.timeout) / 5));
  NAVIT_ASSIGN_OR_RETURN(const auto contexts, ListenForRanks(options_, timeout));
  std::vector<std::vector<char>> addresses(options_.world_size);
  std::vector<std::string> keys;
  for (int other = 0; other < options_.world_size; ++other) {
    keys.push_back(AddressKey(other));
    if (other == options_.rank) continue;
    addresses[other] = contexts[other]->getPair(other)->address().bytes();
  }
  {
    absl::MutexLock lock(&mutex_);
    if (!broken_.ok()) return broken_;
    contexts_ = contexts;
  }
  NAVIT_RETURN_IF_ERROR(store->Set(AddressKey(options_.rank), PackAddresses(addresses)));
  NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                         store->Get(keys, absl::Milliseconds(RemainingMilliseconds())));
  for (int other = 0; other < options_.world_size; ++other) {
    if (other == options_.rank) continue;
    const std::vector<char> address = UnpackAddress(all[other], options_.rank);
    if (address.empty()) {
      return absl::InternalError(absl::StrCat("rank ", other, " published no usable address"));
    }
    {
      absl::MutexLock lock(&mutex_);
      if (!broken_.ok()) return broken_;
    }
    contexts[other]->getPair(other)->connect(address);
  }
  return absl::OkStatus();
}

absl::Status GlooTransport::StartOperation() {
  ++tag_;
  deadline_ns_ = SteadyNanoseconds() + absl::ToInt64Nanoseconds(options_.timeout);
  absl::MutexLock lock(&mutex_);
  return broken_;
}

int64_t GlooTransport::RemainingMilliseconds() const {
  return std::max<int64_t>(1, (deadline_ns_ - SteadyNanoseconds()) / 1000000);
}

absl::Status GlooTransport::Exchange(int to, const void* send, size_t send_bytes, int from,
                                     void* receive, size_t receive_bytes) {
  absl::Status status;
  try {
    status = Transfer(to, send, send_bytes, from, receive, receive_bytes);
  } catch (const std::exception& e) {
    const std::string who =
        absl::StrCat("exchange with rank ", from, to == from ? "" : absl::StrCat(" and rank ", to),
                     ": ", e.what());
    status = SteadyNanoseconds() >= deadline_ns_ ? absl::DeadlineExceededError(who)
                                                 : absl::UnavailableError(who);
  }
  return status.ok() ? status : Break(status);
}

absl::Status GlooTransport::Transfer(int to, const void* send, size_t send_bytes, int from,
                                     void* receive, size_t receive_bytes) {
  std::unique_ptr<UnboundBuffer> sending;
  std::unique_ptr<UnboundBuffer> receiving;
  {
    absl::MutexLock lock(&mutex_);
    if (!broken_.ok()) return broken_;
    if (send_bytes > 0) {
      sending = contexts_[to]->createUnboundBuffer(const_cast<void*>(send), send_bytes);
    }
    if (receive_bytes > 0) {
      receiving = contexts_[from]->createUnboundBuffer(receive, receive_bytes);
    }
    sending_ = sending.get();
    receiving_ = receiving.get();
  }
  // Runs before the buffers die, also when Gloo throws.
  struct Unregister {
    GlooTransport* self;
    ~Unregister() {
      absl::MutexLock lock(&self->mutex_);
      self->sending_ = nullptr;
      self->receiving_ = nullptr;
    }
  } unregister{this};
  if (receiving != nullptr) receiving->recv(from, tag_);
  if (sending != nullptr) sending->send(to, tag_);
  // Both waits return false only after Abort.
  if (receiving != nullptr &&
      !receiving->waitRecv(std::chrono::milliseconds(RemainingMilliseconds()))) {
    return absl::AbortedError("collective aborted");
  }
  if (sending != nullptr &&
      !sending->waitSend(std::chrono::milliseconds(RemainingMilliseconds()))) {
    return absl::AbortedError("collective aborted");
  }
  return absl::OkStatus();
}

absl::Status GlooTransport::Break(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (broken_.ok()) broken_ = status;
  CloseConnections();
  return broken_;
}

void GlooTransport::Abort() {
  absl::MutexLock lock(&mutex_);
  if (broken_.ok()) broken_ = absl::AbortedError("collective aborted");
  CloseConnections();
  // Closing a connection does not wake a wait on one of its buffers; these do. Gloo forgets an
  // abort that comes before its wait begins: repeat until the operating thread has left.
  const auto left = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return sending_ == nullptr && receiving_ == nullptr;
  };
  do {
    if (sending_ != nullptr) sending_->abortWaitSend();
    if (receiving_ != nullptr) receiving_->abortWaitRecv();
  } while (!mutex_.AwaitWithTimeout(absl::Condition(&left), absl::Milliseconds(1)));
}

void GlooTransport::CloseConnections() {
  mutex_.AssertHeld();
  for (size_t other = 0; other < contexts_.size(); ++other) {
    if (contexts_[other] == nullptr) continue;
    try {
      contexts_[other]->getPair(static_cast<int>(other))->close();
    } catch (const std::exception&) {
      // The connection is unusable either way.
    }
  }
}

}  // namespace navit
